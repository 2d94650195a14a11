package main

import (
	"strings"
	"testing"
	"testing/synctest"

	"culvert/cmd/cloud/internal/cfn"
	"culvert/test/awstest"
)

// repairAnswers are of a deployment whose machine prints what each of said holds, one after the other.
func repairAnswers(origin, kind string, said ...string) map[string][]string {
	answers := map[string][]string{
		"aws cloudformation describe-stacks": {`{"Stacks": [{"StackId": "arn:root", "StackName": "culvert", "StackStatus": "UPDATE_COMPLETE",
			"Outputs": [{"OutputKey": "Origin", "OutputValue": "` + origin + `"}]}]}`},
		"aws cloudformation list-stack-resources": {`{"StackResourceSummaries": [{"PhysicalResourceId": "a-1", "ResourceType": "` + kind + `"}]}`},
		"aws ssm send-command":                    {`{"Command": {"CommandId": "c-1"}}`},
		"aws ssm start-associations-once":         {""},
	}
	for _, s := range said {
		answers["aws ssm list-command-invocations"] = append(answers["aws ssm list-command-invocations"],
			`{"CommandInvocations": [{"Status": "Success", "CommandPlugins": [{"Output": "`+s+`"}]}]}`)
	}
	return answers
}

func TestAnUpdateInstallsOnceMoreWhereNothingAnswers(t *testing.T) {
	t.Parallel()
	const association, group = "AWS::SSM::Association", "AWS::AutoScaling::AutoScalingGroup"
	const silent, answers = "", `culvert_users 3\nculvert_tunnels 7\n`
	for name, one := range map[string]struct {
		origin, kind string
		said         []string
		installs     int
		fails, says  string
	}{
		"an origin that answers":          {"i-1", association, []string{answers}, 0, "", ""},
		"one that answers afterwards":     {"i-1", association, []string{silent, silent, answers}, 1, "", "The origin answers"},
		"one that never does":             {"i-1", association, []string{silent}, 1, "does not answer after it was installed once more", "once more"},
		"a fleet":                         {"culvert-origins", group, []string{silent}, 0, "no origin answers", ""},
		"a machine with something to say": {"i-1", association, []string{silent, `2026-11-28 06:00 FAILURE: no room`}, 1, "once more", "FAILURE: no room"},
	} {
		synctest.Test(t, func(t *testing.T) {
			c, r, said := testCloud(t, repairAnswers(one.origin, one.kind, one.said...))
			err := c.repair(t.Context())
			if (err != nil) != (one.fails != "") || err != nil && !strings.Contains(err.Error(), one.fails) {
				t.Errorf("%s: got %v, want an error with %q", name, err, one.fails)
			}
			if n := len(r.Asked("aws ssm start-associations-once")); n != one.installs {
				t.Errorf("%s: installed %d times, want %d", name, n, one.installs)
			}
			awstest.WantSaid(t, said.String(), one.says)
		})
	}
}

// What a fleet's machines said is gone with them, and a machine that was never made is not asked.
func TestOnlyTheOneMachineIsAskedWhatItSays(t *testing.T) {
	t.Parallel()
	for origin, asked := range map[string]int{"": 0, "culvert-origins": 0, "i-1": 1} {
		c, r, said := testCloud(t, repairAnswers(origin, "", `2026-11-28 06:00 FAILURE: no room\n`))
		c.tellOutcomes(t.Context(), cfn.Stack{Outputs: []struct{ OutputKey, OutputValue string }{{"Origin", origin}}})
		if n := len(r.Asked("aws ssm send-command")); n != asked || strings.Contains(said.String(), "no room") != (asked == 1) {
			t.Errorf("%q: asked %d times, want %d; said %q", origin, n, asked, said)
		}
	}
}
