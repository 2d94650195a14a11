//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// group is an Auto Scaling group of machines behind the balancer. CloudFormation's rolling update is here,
// too: it starts one machine more, and ends an old one when the new one is installed.
type group struct {
	w *world

	mu       sync.Mutex // guards the following
	name     string
	desired  int
	userData string
	members  []*machine
	leaving  map[string]chan struct{} // by the id of a machine that the hook holds: closed when it may end
	numbers  int                      // that machines were given
	ends     int                      // how many were ended
}

type (
	groupProperties struct {
		AutoScalingGroupName string
		MinSize, MaxSize     number
		LaunchTemplate       struct{ LaunchTemplateId string }
		TargetGroupARNs      []string
	}
	templateProperties struct {
		LaunchTemplateData struct{ UserData string }
	}
)

// heartbeat is how long the hook holds a machine that says nothing, as the template has it.
const heartbeat = 18 * time.Minute

// failureSignal is what CloudFormation says of a machine that could not be installed.
const failureSignal = "Received 1 FAILURE signal(s) out of 1.  Unable to satisfy 100% MinSuccessfulInstancesPercent requirement"

func (w *world) takeGroup(ctx context.Context, p part) error {
	if p.Gone {
		return w.scaled().end()
	}
	set, err := as[groupProperties](p)
	if err != nil {
		return err
	}
	t, err := w.get("AWS::EC2::LaunchTemplate", set.LaunchTemplate.LaunchTemplateId)
	if err != nil {
		return err
	}
	made, err := as[templateProperties](t)
	if err != nil {
		return err
	}
	script, err := base64.StdEncoding.DecodeString(made.LaunchTemplateData.UserData)
	if err != nil {
		return err
	}
	return w.groupOf(set.AutoScalingGroupName).become(ctx, int(set.MinSize), string(script))
}

// scaled is the group, if there was one.
func (w *world) scaled() *group {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.group
}

// groupOf is the group, which is made if there is none.
func (w *world) groupOf(name string) *group {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.group == nil {
		w.group = &group{w: w, name: name, leaving: map[string]chan struct{}{}}
	}
	return w.group
}

// become has the group be as the stack says.
func (g *group) become(ctx context.Context, least int, userData string) error {
	g.mu.Lock()
	g.desired, g.userData = max(g.desired, least), userData
	missing, old := g.desired-len(g.members), slices.Clone(g.members)
	g.mu.Unlock()
	if err := g.launch(ctx, missing); err != nil {
		return err
	}
	for _, m := range old {
		if m.userData == userData {
			continue
		}
		if err := g.launch(ctx, 1); err != nil {
			return err
		}
		go g.terminate(m) // CloudFormation starts the next while this one drains
	}
	return nil
}

// launch starts machines beside each other, and takes those in that are installed.
func (g *group) launch(ctx context.Context, n int) error {
	failed := make(chan error, max(n, 0))
	for range n {
		go func() { failed <- g.launchOne(ctx) }()
	}
	var all error
	for range n {
		all = errors.Join(all, <-failed)
	}
	return all
}

func (g *group) launchOne(ctx context.Context) error {
	var random [8]byte
	rand.Read(random[:])
	g.mu.Lock()
	address := fmt.Sprintf("10.0.0.%d", firstTarget+g.numbers%mostTargets)
	g.numbers++
	script := g.userData
	g.mu.Unlock()
	m, err := g.w.start(ctx, "i-"+hex.EncodeToString(random[:]), address)
	if err != nil {
		return err
	}
	m.userData = script
	if err := m.run(ctx, script); err != nil {
		g.w.forget(m.id).pullThePlug()
		return fmt.Errorf("%s", failureSignal)
	}
	g.mu.Lock()
	g.members = append(g.members, m)
	g.mu.Unlock()
	return g.w.inFront().register(m)
}

// terminate ends a machine when its hook lets it: AWS does not say whether it is taken from the load
// balancer before or after that, so here they take turns.
func (g *group) terminate(m *machine) {
	may := make(chan struct{})
	g.mu.Lock()
	g.members = slices.DeleteFunc(g.members, func(o *machine) bool { return o == m })
	g.leaving[m.id] = may
	before := g.ends%2 == 0
	g.ends++
	g.mu.Unlock()
	if before {
		g.w.inFront().deregister(m)
	}
	m.become("Terminated")
	g.hold(m, may)
	g.w.inFront().deregister(m)
	m.shutDown()
	g.w.inFront().remove(m)
	g.w.forget(m.id)
	fmt.Fprintf(os.Stderr, "live: %s is terminated\n", m.id)
}

// hold lets the machine's timer come, sixty times as often as it does, until the machine may end.
func (g *group) hold(m *machine, may chan struct{}) {
	over := time.After(heartbeat)
	for {
		if err := m.run(context.Background(), timed); err != nil {
			fmt.Fprintf(os.Stderr, "live: %s: tend: %v\n", m.id, err)
		}
		select {
		case <-may:
			return
		case <-over:
			fmt.Fprintf(os.Stderr, "live: %s: nobody completed the hook\n", m.id)
			return
		case <-time.After(time.Second):
		}
	}
}

// timed is what systemd's timer runs.
const timed = "#!/bin/sh\nTRIGGER_UNIT=culvert-tend.timer exec /opt/culvert/current/layer/tend\n"

// end is what becomes of a group that is deleted.
func (g *group) end() error {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range g.members {
		g.w.inFront().remove(m)
		g.w.forget(m.id).pullThePlug()
	}
	g.members, g.desired = nil, 0
	return nil
}

// scaling does what the AWS command line asks of Auto Scaling, and answers before it is done.
func (w *world) scaling(rw http.ResponseWriter, r *http.Request) {
	err := errors.New("there is no group")
	if g := w.scaled(); g != nil {
		err = fmt.Errorf("%s is not known here", r.FormValue("Action"))
		switch r.FormValue("Action") {
		case "SetDesiredCapacity":
			err = g.resize(r.FormValue("DesiredCapacity"))
		case "TerminateInstanceInAutoScalingGroup":
			err = g.replace(r.FormValue("InstanceId"))
		case "CompleteLifecycleAction":
			err = g.complete(r.FormValue("InstanceId"))
		}
	}
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
	}
}

func (g *group) resize(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil {
		return err
	}
	g.mu.Lock()
	g.desired = n
	more, members := n-len(g.members), slices.Clone(g.members)
	g.mu.Unlock()
	go g.launch(context.Background(), more)
	for range -more {
		go g.terminate(members[0])
		members = members[1:]
	}
	return nil
}

// replace ends a machine, in whose place another comes at once.
func (g *group) replace(id string) error {
	m, err := g.w.instance(id)
	if err != nil {
		return err
	}
	go g.terminate(m)
	go g.launch(context.Background(), 1)
	return nil
}

func (g *group) complete(id string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	may := g.leaving[id]
	if may == nil {
		return fmt.Errorf("no hook holds %s", id)
	}
	delete(g.leaving, id)
	close(may)
	return nil
}

// noticed is how long a group takes to see that a machine is gone.
const noticed = 3 * time.Second

// kill ends a machine as a failure of its host does.
func (w *world) kill(rw http.ResponseWriter, r *http.Request) {
	m, err := w.instance(r.FormValue("instance"))
	g := w.scaled()
	if err == nil && g == nil {
		err = errors.New("there is no group")
	}
	if err != nil {
		http.Error(rw, err.Error(), http.StatusNotFound)
		return
	}
	m.become("Dead")
	m.pullThePlug()
	go func() {
		time.Sleep(noticed)
		g.mu.Lock()
		g.members = slices.DeleteFunc(g.members, func(o *machine) bool { return o == m })
		g.mu.Unlock()
		w.forget(m.id)
		w.inFront().remove(m)
		if err := g.launch(context.Background(), 1); err != nil {
			fmt.Fprintf(os.Stderr, "live: %s is not replaced: %v\n", m.id, err)
		}
	}()
}

// cut ends all carriers, at the balancer.
func (w *world) cut(rw http.ResponseWriter, _ *http.Request) {
	if err := w.inFront().cut(); err != nil {
		http.Error(rw, err.Error(), http.StatusInternalServerError)
	}
}

// describe says of a machine how it does, in a line: its id, what its group and the balancer say, its tunnels, and the
// carriers and messages that it has passed on to others.
func (w *world) describe(ctx context.Context, rw http.ResponseWriter, m *machine) error {
	tunnels, passed := 0.0, 0.0
	for line := range strings.Lines(m.metrics(ctx)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		v, _ := strconv.ParseFloat(value, 64)
		switch {
		case name == "culvert_tunnels":
			tunnels += v
		case strings.HasPrefix(name, "culvert_passed_total") && !strings.Contains(name, "unreachable"):
			passed += v
		}
	}
	_, err := fmt.Fprintln(rw, m.id, m.lifeIs(), w.inFront().state(m), "tunnels", tunnels, "passed", passed)
	return err
}

// broke notes that connections may break until then, as what served them has ended.
func (w *world) broke(until time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if until.After(w.breaks) {
		w.breaks = until
	}
}

// explained tells an app whose connection broke whether it may.
func (w *world) explained(rw http.ResponseWriter, _ *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Now().After(w.breaks) {
		http.Error(rw, "nothing has ended that served it", http.StatusNotFound)
	}
}
