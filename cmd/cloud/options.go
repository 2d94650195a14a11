package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"

	"culvert/cmd/cloud/internal/advice"
	"culvert/cmd/cloud/internal/cfn"
	"culvert/internal/aws"
	"culvert/internal/cost"
	"culvert/internal/term"
)

// options are what the volunteer chose.
type options struct {
	*aws.Target // the region may be found out later, by signIn
	template    string
	yes         bool
	user        uint
	front       int               // which distribution a link uses; 0 for all
	doctorTries int               // how often the first link is tested until it works
	given       map[string]string // parameters of the template
	frontNews   frontNews         // what fronts is to do
	users       int               // for the estimate
	edge        string            // where they are, as CloudFront divides the world

	publicBucket, archive string // where a release is published, and which
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

// parse reads the flags of the story name, whose help says what it is about.
func parse(name, about string, args []string, stdout io.Writer) (options, error) {
	o := options{Target: &aws.Target{}, given: map[string]string{}}
	f := term.NewFlags("cloud "+name, "[flags]", "Called by make "+name+": "+about+".\n\nExample:\n  make "+name+" PROFILE=me REGION=eu-central-1")
	f.StringVar(&o.Profile, "profile", "", "`NAME` of the AWS profile")
	f.StringVar(&o.Region, "region", "", "AWS `REGION`; else the profile's, else us-east-1")
	f.StringVar(&o.Stack, "stack", "culvert", "`NAME` of the deployment")
	f.StringVar(&o.template, "template", "template.yaml", "`FILE` with the template")
	f.BoolVar(&o.yes, "yes", false, "answer every question with yes")
	f.IntVar(&o.doctorTries, "doctor", 3, "`TIMES` to test the first link until it works; 0 for not at all")
	f.StringVar(&o.edge, "edge", "europe", "`NAME` of the part of the world that the users are in, for the estimate: "+cost.Edges())
	f.StringVar(&o.publicBucket, "bucket", "", "`NAME` of the bucket that publish fills, for everybody to read")
	f.StringVar(&o.archive, "archive", "", "`FILE` of the release that publish fills it with")
	f.UintVar(&o.user, "user", 1, "`NUMBER` of the user")
	o.users = 100
	if name == "fronts" {
		o.frontNews.flags(f)
	} else {
		f.IntVar(&o.front, "front", 0, "`NUMBER` of the one distribution that the link is to use; else all")
		f.IntVar(&o.users, "users", 100, "`NUMBER` of users, for the estimate")
	}
	for flag, key := range parameterFlags {
		f.Func(flag, "the template's "+key, func(v string) error { o.given[key] = v; return nil })
	}
	f.Func("set", "`KEY=VALUE` of the template's parameters, or several with spaces between", o.set)
	if err := f.ParseNone(args, stdout); err != nil {
		return o, err
	}
	if problem := o.wrong(); problem != "" {
		return o, f.Wrong("%s", problem)
	}
	return o, nil
}

// set takes all that make gives as SET, of which no value holds a space.
func (o *options) set(s string) error {
	pairs := strings.Fields(s)
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

// wrong says which value no deployment can have.
func (o *options) wrong() string {
	switch {
	case !stackName.MatchString(o.Stack):
		return "STACK is a letter, then letters, digits and hyphens, 30 characters at most"
	case o.Region != "" && !regionName.MatchString(o.Region):
		return "REGION is a name like eu-central-1"
	case o.user < 1 || o.user > math.MaxUint32:
		return fmt.Sprintf("USER is a number from 1 to %d", uint32(math.MaxUint32))
	case o.front < 0:
		return "FRONT is the number of a distribution, from 1 up"
	case o.users < 1:
		return "--users is a number from 1 up"
	case !cost.HasEdge(o.edge):
		return "EDGE is where the users are, for the estimate: " + cost.Edges()
	}
	return o.frontNews.wrong()
}

// parametersFor sets what was given, keeps what the stack has, and leaves the
// rest to the template's defaults. Known are the template's parameters.
func (o *options) parametersFor(s cfn.Stack, known []string) ([]cfn.Parameter, error) {
	for key := range o.given {
		if !slices.Contains(known, key) {
			return nil, advice.New("The template has these: "+strings.Join(known, ", "), "there is no parameter %s", key)
		}
	}
	all := []cfn.Parameter{}
	for _, key := range known {
		value, given := o.given[key]
		switch {
		case given:
			all = append(all, cfn.Parameter{ParameterKey: key, ParameterValue: value})
		case s.Has(key):
			all = append(all, cfn.Parameter{ParameterKey: key, UsePreviousValue: true})
		}
	}
	return all, nil
}

func (o *options) gives(key string) bool { _, ok := o.given[key]; return ok }

// chosen is the parameter as given, or as the stack has it.
func (o *options) chosen(key string, s cfn.Stack) string {
	if v, ok := o.given[key]; ok {
		return v
	}
	return s.Parameter(key)
}
