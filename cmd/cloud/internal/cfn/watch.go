package cfn

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"culvert/internal/aws"
	"culvert/internal/term"
)

// watch follows CloudFormation's work on one stack and the stacks in it.
type watch struct {
	*Client
	root   string
	since  time.Time            // what happened until then is of no interest
	open   map[string]bool      // the stacks that are being worked on, by id
	opened int                  // how often one was added to open
	seen   map[string]bool      // the events that were told, by id
	began  map[string]time.Time // when work on a part began, by stack and name
	slow   map[string]event     // the parts that are waited for and take minutes
	heard  bool                 // whether something was said of the root itself
	first  *event               // the failure that the others follow from
	start  time.Time            // when following began
	spoken time.Time            // when a line last said what goes on
}

const (
	pollEvery  = 5 * time.Second
	patience   = 2 * time.Minute // how long a log without a live line may stay silent
	watchLimit = 2 * time.Hour   // CloudFormation gives up before
	maxSilence = time.Minute     // until CloudFormation says something of work that was begun
	maxMisses  = 5               // questions in a row that may fail
)

// order has CloudFormation do something with a stack, and follows that to its
// end.
func (c *Client) order(ctx context.Context, id string, args ...string) (Stack, error) {
	since, err := c.lastEvent(ctx, id)
	if err != nil {
		return Stack{}, err
	}
	if err := c.Call(ctx, nil, append([]string{"cloudformation"}, args...)...); err != nil {
		return Stack{}, err
	}
	return c.follow(ctx, id, since)
}

// follow tells what CloudFormation does after since, until the stack rests.
func (c *Client) follow(ctx context.Context, id string, since time.Time) (Stack, error) {
	now := time.Now()
	w := &watch{Client: c, root: id, since: since, start: now, spoken: now, open: map[string]bool{id: true},
		seen: map[string]bool{}, began: map[string]time.Time{}, slow: map[string]event{}}
	defer c.Show("")
	ctx, cancel := context.WithTimeout(ctx, watchLimit)
	defer cancel()
	for misses := 0; ; {
		s, err := w.poll(ctx)
		switch {
		case err == nil && w.rests(s):
			return s, w.outcome(s)
		case err == nil:
			misses = 0
		case ctx.Err() != nil || misses == maxMisses:
			return s, err
		default:
			misses++ // a network may fail for a moment; what is watched goes on
		}
		w.waiting()
		if err := aws.Pause(ctx, w.pause()); err != nil {
			return s, err
		}
	}
}

// pause is short at the beginning, when most of what is wrong is found.
func (w *watch) pause() time.Duration {
	return min(pollEvery, max(time.Second, time.Since(w.start)/10))
}

// rests is false while the status may still be that of before the work.
func (w *watch) rests(s Stack) bool {
	switch s.Condition() {
	case Busy:
		return false
	case Absent:
		return true
	}
	return w.heard || time.Since(w.start) > maxSilence
}

// poll asks for the status before the events, so that none is missed when the
// status is the last.
func (w *watch) poll(ctx context.Context) (Stack, error) {
	s, err := w.Describe(ctx, w.root)
	if err != nil {
		return s, err
	}
	for before := -1; before < w.opened; { // once more for stacks that were met on the way
		before = w.opened
		for id := range w.open {
			all, err := w.events(ctx, id, w.since)
			if err != nil {
				return s, err
			}
			for _, e := range all {
				w.hear(e)
			}
		}
	}
	return s, nil
}

// hear tells an event, once.
func (w *watch) hear(e event) {
	if w.seen[e.ID] {
		return
	}
	w.seen[e.ID] = true
	w.heard = w.heard || e.PhysicalID == w.root
	if e.Type == "AWS::CloudFormation::Stack" && e.PhysicalID != "" && e.PhysicalID != w.root {
		w.hearNested(e)
	}
	switch {
	case e.fails():
		w.failed(e)
	case e.own():
	case e.begins():
		w.begins(e)
	case e.ends():
		w.ends(e)
	}
}

// hearNested keeps the list of stacks to ask. Its own end is the last event of
// a stack.
func (w *watch) hearNested(e event) {
	if e.begins() && !e.own() {
		w.open[e.PhysicalID] = true
		w.opened++
	} else if e.own() && !e.begins() {
		delete(w.open, e.StackID)
	}
}

func (w *watch) begins(e event) {
	key := e.StackID + e.LogicalID
	if _, ok := w.began[key]; ok {
		return
	}
	w.began[key] = e.At
	p := parts[e.Type]
	if usual := p.usual(e.removing()); usual >= worthTelling {
		w.slow[key] = e
		fmt.Fprintf(w, "… %s%s: usually %s\n", verb(e, "removing ", "updating "), p.name, term.Span(usual))
	}
}

func (w *watch) ends(e event) {
	key := e.StackID + e.LogicalID
	began, ok := w.began[key]
	delete(w.began, key)
	delete(w.slow, key)
	if p := parts[e.Type]; p.usual(e.removing()) > 0 && ok {
		w.Step(term.Good, e.At.Sub(began), "%s%s", verb(e, "removed: ", "updated: "), p.name)
		w.spoken = time.Now()
	}
}

// verb goes before a part that is not being made.
func verb(e event, removing, updating string) string {
	switch {
	case e.removing():
		return removing
	case strings.HasPrefix(e.Status, "UPDATE_"):
		return updating
	}
	return ""
}

func (w *watch) failed(e event) {
	delete(w.slow, e.StackID+e.LogicalID)
	if e.echo() || e.Reason == "" {
		return
	}
	if w.first == nil || e.tells() && !w.first.tells() {
		w.first = &e
	}
	w.Step(term.Bad, 0, "%s: %s", e.LogicalID, e.Reason)
}

// waiting says what is waited for: below the lines, or every now and then as
// one of them.
func (w *watch) waiting() {
	text := "CloudFormation is at work"
	for _, e := range w.slow {
		p := parts[e.Type]
		text = fmt.Sprintf("waiting for: %s (usually %s)", p.name, term.Span(p.usual(e.removing())))
	}
	elapsed := term.Span(time.Since(w.start))
	w.Show(fmt.Sprintf("… %s  %s", elapsed, text))
	if !w.Live() && time.Since(w.spoken) >= patience {
		fmt.Fprintf(w, "… %s so far, %s\n", elapsed, text)
		w.spoken = time.Now()
	}
}

// outcome is nil if what was begun is done.
func (w *watch) outcome(s Stack) error {
	done := strings.HasSuffix(s.Status, "_COMPLETE") && !strings.Contains(s.Status, "ROLLBACK")
	if done || s.Status == "" {
		return nil
	}
	reason := s.Reason
	if w.first != nil {
		reason = w.first.LogicalID + ": " + w.first.Reason
	}
	return w.explained(fmt.Sprintf("%s (%s)", s.InWords(), strings.TrimSpace(reason)))
}

// event is one line of what CloudFormation says it does.
type event struct {
	ID         string    `json:"EventId"`
	StackID    string    `json:"StackId"`
	LogicalID  string    `json:"LogicalResourceId"`
	PhysicalID string    `json:"PhysicalResourceId"`
	Type       string    `json:"ResourceType"`
	Status     string    `json:"ResourceStatus"`
	Reason     string    `json:"ResourceStatusReason"`
	At         time.Time `json:"Timestamp"`
}

// own says whether e is of the stack itself and not of a part.
func (e event) own() bool { return e.PhysicalID == e.StackID }

func (e event) begins() bool   { return strings.HasSuffix(e.Status, "_IN_PROGRESS") }
func (e event) ends() bool     { return strings.HasSuffix(e.Status, "_COMPLETE") }
func (e event) fails() bool    { return strings.HasSuffix(e.Status, "_FAILED") }
func (e event) removing() bool { return strings.HasPrefix(e.Status, "DELETE_") }

// echo is a failure that only follows from another.
func (e event) echo() bool {
	return strings.Contains(e.Reason, "cancelled") || strings.Contains(e.Reason, "The following resource(s) failed")
}

// tells says whether e is a failure in a machine's own words, for which what
// CloudFormation finds by itself is another sign.
func (e event) tells() bool {
	return strings.Contains(e.Reason, "WaitCondition received failed message")
}

// maxEvents bounds what is read at once; CloudFormation gives the newest first.
const maxEvents = "200"

// events lists what happened in a stack after since, the oldest first. A stack
// that is gone has no more of them.
func (c *Client) events(ctx context.Context, id string, since time.Time) ([]event, error) {
	var answer struct{ StackEvents []event }
	err := c.Call(ctx, &answer, "cloudformation", "describe-stack-events", "--stack-name", id, "--max-items", maxEvents)
	if err != nil && strings.Contains(err.Error(), "does not exist") {
		return nil, nil
	}
	late := slices.DeleteFunc(answer.StackEvents, func(e event) bool { return !e.At.After(since) })
	slices.Reverse(late)
	return late, err
}

// lastEvent is when CloudFormation last said something of the stack.
func (c *Client) lastEvent(ctx context.Context, id string) (time.Time, error) {
	all, err := c.events(ctx, id, time.Time{})
	if err != nil || len(all) == 0 {
		return time.Time{}, err
	}
	return all[len(all)-1].At, nil
}

// part is a kind of resource as people call it, and how long CloudFormation
// usually takes to make or remove it: figures that others saw, which only tell
// people whether to wait. What takes 0 is done at once and passes silently.
type part struct {
	name         string
	made, undone time.Duration
}

// parts holds what a volunteer is told of.
var parts = map[string]part{
	"AWS::EC2::VPC":                             {"the private network", 15 * time.Second, 0},
	"AWS::EC2::Subnet":                          {"a part of the network", 0, 0},
	"AWS::EC2::SecurityGroup":                   {"a firewall of the network", 0, 20 * time.Minute},
	"AWS::EC2::Instance":                        {"the origin's machine", time.Minute, time.Minute},
	"AWS::AutoScaling::AutoScalingGroup":        {"the origin's machines", 4 * time.Minute, 5 * time.Minute},
	"AWS::ElasticLoadBalancingV2::LoadBalancer": {"the load balancer before the origins", 3 * time.Minute, time.Minute},
	"AWS::SSM::Association":                     {"the origin's program on its machine", 2 * time.Minute, 0},
	"AWS::CloudFormation::WaitCondition":        {"what the machine says of its installation", 2 * time.Minute, 0},
	"AWS::SecretsManager::Secret":               {"a secret", 0, 0},
	"AWS::Lambda::LayerVersion":                 {"the upload of the origin's program", 0, 0},
	"AWS::Lambda::Function":                     {"a function of the gateway door", 30 * time.Second, 20 * time.Minute},
	"AWS::ApiGatewayV2::Api":                    {"the gateway door (API Gateway)", 0, 0},
	"AWS::IAM::Role":                            {"a role, with what it may do", 0, 0},
	"AWS::CloudFront::VpcOrigin":                {"CloudFront's way into the network", 9 * time.Minute, 5 * time.Minute},
	"AWS::CloudFront::Function":                 {"the gate at CloudFront's edges", 10 * time.Second, 0},
	"AWS::CloudFront::Distribution":             {"a front (CloudFront distribution)", 5 * time.Minute, 6 * time.Minute},
	"AWS::Budgets::Budget":                      {"the budget, which warns by mail", 0, 0},
	"AWS::CloudWatch::Alarm":                    {"an alarm", 0, 0},
}

// NameOf is what people call a type of resource; empty for one that they need
// not know.
func NameOf(kind string) string { return parts[kind].name }

// usual is how long an action on the part takes.
func (p part) usual(removing bool) time.Duration {
	if removing {
		return p.undone
	}
	return p.made
}

// worthTelling is how long a step must usually take to be announced.
const worthTelling = time.Minute
