package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// advice is an error that a volunteer can act on: what is wrong, what to try,
// and what AWS said.
type advice struct {
	problem, try string
	err          error
}

func (a *advice) Error() string { return a.problem }
func (a *advice) Unwrap() error { return a.err }

// advise makes an error of our own that says what to try.
func advise(try, problem string, args ...any) error {
	return &advice{problem: fmt.Sprintf(problem, args...), try: try}
}

// meaning turns AWS's words into ours. In problem and try, $1 and so on are
// what pattern found; {profile}, {region} and {stack} are the volunteer's.
type meaning struct {
	pattern      *regexp.Regexp
	problem, try string
}

// explain adds advice to err where we know what it means.
func (o options) explain(err error) error {
	var known *advice
	if err == nil || errors.As(err, &known) {
		return err
	}
	text := err.Error()
	for _, m := range meanings {
		found := m.pattern.FindStringSubmatchIndex(text)
		if found == nil {
			continue
		}
		fill := func(s string) string {
			return o.fill(string(m.pattern.ExpandString(nil, s, text, found)))
		}
		return &advice{fill(m.problem), fill(m.try), err}
	}
	return err
}

// says is what AWS's words s mean, or s itself.
func (o options) says(s string) error { return o.explain(errors.New(s)) }

// fill puts the volunteer's own values where a command is shown.
func (o options) fill(s string) string {
	profile := o.profile
	if profile == "" {
		profile = "default"
	}
	return strings.NewReplacer("{profile}", profile, "{region}", o.region, "{stack}", o.stack).Replace(s)
}

// quota is how to get n of what AWS counts under code.
func quota(service, code, n, name string) string {
	return "Ask AWS for more " + name + "; small requests are often granted within an hour. Then run this again:\n" +
		"  aws service-quotas request-service-quota-increase --region {region} \\\n" +
		"    --service-code " + service + " --quota-code " + code + " --desired-value " + n + "\n" +
		"Or delete what is not needed, or take another region (REGION=name)."
}

const (
	newKeys = "Log in again and run this again. With single sign-on (it needs version 2 of the AWS command line, https://aws.amazon.com/cli):\n  aws sso login --profile {profile}\n" +
		"With access keys, copy the new ones:\n  aws configure --profile {profile}"
	useConfigure = "Tell the command line who you are, with access keys of your account:\n  aws configure\n" +
		"or with single sign-on (it needs version 2 of the AWS command line, https://aws.amazon.com/cli):\n  aws configure sso\nIf you have a profile, name it: make deploy PROFILE=name"
	askSupport = "AWS checks new accounts. Usually it is over within a day, and a mail says so. If not, open a support case " +
		"(free, \"Account and billing\") with the words above: https://console.aws.amazon.com/support"
	again = "Wait a minute and run this again; what is done stays done."
)
