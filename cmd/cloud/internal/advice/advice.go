// Package advice says what an error of AWS's means, and what to try.
package advice

import (
	"errors"
	"fmt"
	"regexp"

	"culvert/cmd/cloud/internal/aws"
)

// Advice is an error that a volunteer can act on. Try is shown below Problem,
// and what AWS said, if anything, between them. A line of Try that begins with
// two spaces is a command.
type Advice struct {
	Problem, Try string
	Err          error // nil: the problem is our own finding
}

func (a *Advice) Error() string { return a.Problem }
func (a *Advice) Unwrap() error { return a.Err }

// New makes an error of our own that says what to try.
func New(try, problem string, args ...any) error {
	return &Advice{Problem: fmt.Sprintf(problem, args...), Try: try}
}

// meaning turns AWS's words into ours. In problem and try, $1 and so on are
// what pattern found; {profile}, {region} and {stack} are the volunteer's.
type meaning struct {
	pattern      *regexp.Regexp
	problem, try string
}

// Explain is err with advice where its text is known, and err itself where it
// is not, or is nil, or is Advice already. Commands in the advice are for the
// target.
func Explain(t aws.Target, err error) error {
	var known *Advice
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
			return t.Fill(string(m.pattern.ExpandString(nil, s, text, found)))
		}
		return &Advice{fill(m.problem), fill(m.try), err}
	}
	return err
}

// Quota says how to get n of what AWS counts under code in Service Quotas.
func Quota(service, code, n, name string) string {
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
