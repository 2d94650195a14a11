package cfn

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"culvert/cmd/cloud/internal/advice"
	"culvert/test/awstest"
)

var before = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

func TestFollowTellsEachSlowPartOfNestedStacksOnceAndHowLongItTook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, r, said := testClient(t, map[string][]string{
			"aws cloudformation describe-stacks":                {awstest.InState("CREATE_IN_PROGRESS"), awstest.InState("CREATE_IN_PROGRESS"), awstest.InState("CREATE_COMPLETE")},
			"aws cloudformation describe-stack-events":          {testdata(t, "create-events.json")},
			"aws cloudformation describe-stack-events arn:solo": {testdata(t, "create-events-solo.json")},
		})
		if _, err := c.follow(t.Context(), "arn:root", before); err != nil {
			t.Fatalf("got %v, want no error", err)
		}
		got := said.String()
		awstest.WantSaid(t, got, "… CloudFront's way into the network: usually 9 min", "✓ CloudFront's way into the network 9 min")
		if n := strings.Count(got, "\n"); n != 2 {
			t.Errorf("got %d lines, want 2:\n%s", n, got)
		}
		if n := len(r.Asked("aws cloudformation describe-stacks")); n != 3 {
			t.Errorf("asked for the status %d times, want 3", n)
		}
	})
}

func TestAFailureIsTheFirstOneAndSaysWhatToTry(t *testing.T) {
	t.Parallel()
	c, _, said := testClient(t, map[string][]string{
		"aws cloudformation describe-stacks":       {awstest.InState("ROLLBACK_COMPLETE")},
		"aws cloudformation describe-stack-events": {testdata(t, "failed-events.json")},
	})
	_, err := c.follow(t.Context(), "arn:root", before)
	var known *advice.Advice
	if !errors.As(err, &known) {
		t.Fatalf("got %v, want advice", err)
	}
	awstest.WantSaid(t, known.Problem+known.Try, "all the networks (VPCs) in us-east-1", "--quota-code L-F678F1CE")
	if strings.Contains(said.String(), "Instance:") {
		t.Errorf("tells of what was cancelled:\n%s", said)
	}
}

func TestEventsOfBeforeAreNotTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _, said := testClient(t, map[string][]string{
			"aws cloudformation describe-stacks":       {awstest.InState("UPDATE_COMPLETE")},
			"aws cloudformation describe-stack-events": {testdata(t, "failed-events.json")},
		})
		if _, err := c.follow(t.Context(), "arn:root", before.Add(time.Hour)); err != nil || said.Len() > 0 {
			t.Errorf("got %v and %q, want nothing", err, said)
		}
	})
}

// What was begun a moment ago may not show yet.
func TestAStatusOfBeforeIsNotTakenForTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, r, _ := testClient(t, map[string][]string{
			"aws cloudformation describe-stacks":       {awstest.InState("UPDATE_COMPLETE"), awstest.InState("ROLLBACK_COMPLETE")},
			"aws cloudformation describe-stack-events": {`{"StackEvents": []}`, testdata(t, "failed-events.json")},
		})
		if _, err := c.follow(t.Context(), "arn:root", before); err == nil || len(r.Asked("aws cloudformation describe-stacks")) != 2 {
			t.Errorf("got %v, want the failure that came later", err)
		}
	})
}

func TestALogHearsEveryFewMinutesWhatIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _, said := testClient(t, map[string][]string{
			"aws cloudformation describe-stacks":       {awstest.InState("UPDATE_IN_PROGRESS")},
			"aws cloudformation describe-stack-events": {`{"StackEvents": []}`},
		})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		if _, err := c.follow(ctx, "arn:root", before); err == nil {
			t.Error("got no error after Ctrl-C, want one")
		}
		awstest.WantSaid(t, said.String(), "2 min so far, CloudFormation is at work", "4 min so far")
	})
}

func TestANetworkThatFailsForAMomentIsBorneAndOneThatStaysAwayIsNot(t *testing.T) {
	t.Parallel()
	const away = "!Could not connect to the endpoint URL"
	synctest.Test(t, func(t *testing.T) {
		answers := map[string][]string{
			"aws cloudformation describe-stacks":       {away, away, awstest.InState("UPDATE_IN_PROGRESS"), away, awstest.InState("UPDATE_COMPLETE")},
			"aws cloudformation describe-stack-events": {`{"StackEvents": []}`},
		}
		c, _, _ := testClient(t, answers)
		if _, err := c.follow(t.Context(), "arn:root", before); err != nil {
			t.Errorf("got %v after some misses, want no error", err)
		}
		answers["aws cloudformation describe-stacks"] = []string{away}
		if _, err := c.follow(t.Context(), "arn:root", before); err == nil {
			t.Error("got no error when nothing answers, want one")
		}
	})
}

// A machine knows more than whoever waited for it.
func TestAFailureInAMachinesOwnWordsIsTheOneThatCounts(t *testing.T) {
	t.Parallel()
	const waited = "Resource of type 'AWS::SSM::Association' did not stabilize."
	const told = "WaitCondition received failed message: 'the layer is no zip file' for uniqueId: i-1"
	for _, order := range [][]string{{waited, told}, {told, waited}} {
		c, _, _ := testClient(t, nil)
		w := &watch{Client: c, seen: map[string]bool{}, slow: map[string]event{}}
		for n, reason := range order {
			w.hear(event{ID: string(rune('a' + n)), LogicalID: "Part", Status: "CREATE_FAILED", Reason: reason})
		}
		if err := w.outcome(Stack{Status: "ROLLBACK_COMPLETE"}); !strings.Contains(err.Error(), "the layer is no zip file") {
			t.Errorf("%q: got %v, want what the machine said", order, err)
		}
	}
}
