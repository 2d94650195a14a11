package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
)

// options are what the volunteer chose.
type options struct {
	profile     string
	region      string
	stack       string
	template    string
	yes         bool
	user        uint
	front       int               // which distribution a link uses; 0 for all
	doctorTries int               // how often the first link is tested until it works
	given       map[string]string // parameters of the template
	users       int               // for the estimate
}

// parameterFlags are flags that set one of the template's parameters.
var parameterFlags = map[string]string{
	"topology":      "Topology",
	"distributions": "Distributions",
	"instance":      "InstanceType",
	"arch":          "Architecture",
	"budget":        "Budget",
	"email":         "AlarmEmail",
}

// errUsage is a command line that says nothing we can do.
var errUsage = errors.New("usage")

func parse(name string, args []string, help io.Writer) (options, error) {
	o := options{given: map[string]string{}}
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(help)
	f.StringVar(&o.profile, "profile", "", "`NAME` of the AWS profile")
	f.StringVar(&o.region, "region", "", "AWS `REGION`; else the profile's, else us-east-1")
	f.StringVar(&o.stack, "stack", "culvert", "`NAME` of the deployment")
	f.StringVar(&o.template, "template", "template.yaml", "`FILE` with the template")
	f.BoolVar(&o.yes, "yes", false, "answer every question with yes")
	f.UintVar(&o.user, "user", 1, "`NUMBER` of the user")
	f.IntVar(&o.front, "front", 0, "`NUMBER` of the one distribution that the link is to use; else all")
	f.IntVar(&o.doctorTries, "doctor", 3, "`TIMES` to test the first link until it works; 0 for not at all")
	f.IntVar(&o.users, "users", 100, "`NUMBER` of users, for the estimate")
	for flag, key := range parameterFlags {
		f.Func(flag, "the template's "+key, func(v string) error { o.given[key] = v; return nil })
	}
	f.Func("set", "`KEY=VALUE` of the template's parameters, or several with spaces between", o.set)
	if err := f.Parse(args); err != nil {
		return o, errors.Join(errUsage, err)
	}
	return o, o.check(f.Args())
}

func (o *options) set(s string) error {
	pairs := strings.Fields(s) // make gives all of SET at once, and no value holds a space
	if len(pairs) == 0 {
		return errors.New("give KEY=VALUE")
	}
	for _, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return errors.New("give KEY=VALUE")
		}
		o.given[key] = value
	}
	return nil
}

var (
	// A bucket's and a function's name begin with the stack's and end with
	// something of ours; 63 and 64 characters are their limits.
	stackName  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,29}$`)
	regionName = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-[0-9]$`)
)

func (o *options) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("%w: unexpected %q", errUsage, rest[0])
	case !stackName.MatchString(o.stack):
		return fmt.Errorf("%w: STACK is a letter, then letters, digits and hyphens, 30 characters at most", errUsage)
	case o.region != "" && !regionName.MatchString(o.region):
		return fmt.Errorf("%w: REGION is a name like eu-central-1", errUsage)
	case o.user < 1 || o.user > math.MaxUint32:
		return fmt.Errorf("%w: USER is a number from 1 to %d", errUsage, uint32(math.MaxUint32))
	case o.front < 0:
		return fmt.Errorf("%w: FRONT is the number of a distribution, from 1 up", errUsage)
	case o.users < 1:
		return fmt.Errorf("%w: --users is a number from 1 up", errUsage)
	}
	return nil
}

// parametersFor sets what was given, keeps what the stack has, and leaves the
// rest to the template's defaults. Known are the template's parameters.
func (o *options) parametersFor(s stack, known []string) ([]parameter, error) {
	for key := range maps.Keys(o.given) {
		if !slices.Contains(known, key) {
			return nil, advise("The template has these: "+strings.Join(known, ", "), "there is no parameter %s", key)
		}
	}
	all := []parameter{}
	for _, key := range known {
		value, given := o.given[key]
		switch {
		case given:
			all = append(all, parameter{ParameterKey: key, ParameterValue: value})
		case s.has(key):
			all = append(all, parameter{ParameterKey: key, UsePreviousValue: true})
		}
	}
	return all, nil
}

func (o *options) gives(key string) bool { _, ok := o.given[key]; return ok }

func (s stack) has(key string) bool {
	return slices.ContainsFunc(s.Parameters, func(p parameter) bool { return p.ParameterKey == key })
}
