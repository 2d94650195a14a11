package infra

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
)

// home is where most tests deploy.
const home = "us-east-1"

// choices are values that take every way through every condition.
var choices = map[string][]string{
	"Topology":      {"solo", "fleet"},
	"SoloInstance":  {"a", "b"},
	"Architecture":  {"arm64", "x86_64"},
	"Ami":           {"", "ami-0123"},
	"Distributions": {"1", "3", "8"},
	"Withdrawn":     {"", "2", "13"},
	"Generation":    {"1", "2", "3"},
	"Budget":        {"0", "20"},
	"AlarmEmail":    {"", "a@example.com"},
}

// combinations are all ways to choose one of each.
func combinations(choices map[string][]string) iter.Seq[map[string]string] {
	keys := slices.Sorted(maps.Keys(choices))
	return func(yield func(map[string]string) bool) {
		chosen := map[string]string{}
		var choose func(int) bool
		choose = func(i int) bool {
			if i == len(keys) {
				return yield(maps.Clone(chosen))
			}
			for _, v := range choices[keys[i]] {
				if chosen[keys[i]] = v; !choose(i + 1) {
					return false
				}
			}
			return true
		}
		choose(0)
	}
}

// policies say what is wrong with a stack, each for one reason.
var policies = map[string]func(*stack) []string{
	"nobody is let in but CloudFront and our own":   openIngresses,
	"nobody reaches more than its job needs":        openEgresses,
	"roles may do no more than their job":           widePolicies,
	"roles are for functions and machines":          strangeTrust,
	"no secret stands where it can be read":         misplacedSecrets,
	"machines are closed and their disks encrypted": openMachines,
	"logs are short and hold no address":            longLogs,
	"distributions are behind the gate":             openDistributions,
	"what costs is in the estimate":                 unknownCosts,
	"nothing has a tag that could change":           taggedOrigins,
	"nothing needs more capabilities":               namedRoles,
	"nothing outlives a stack and costs":            staying,
}

// Every combination in the home region, and some in all others.
func TestEveryStackKeepsThePolicies(t *testing.T) {
	t.Parallel()
	n := 0
	for region, chosen := range everyStack(t) {
		n++
		s := mustRender(t, region, chosen)
		for claim, wrong := range policies {
			if problems := wrong(s); len(problems) > 0 {
				t.Errorf("%s: %s; with %v in %s", claim, strings.Join(problems, "; "), chosen, region)
			}
		}
		if t.Failed() {
			break // the others would say the same
		}
	}
	t.Logf("%d stacks", n)
}

func everyStack(t *testing.T) iter.Seq2[string, map[string]string] {
	return func(yield func(string, map[string]string) bool) {
		for chosen := range combinations(choices) {
			if !yield(home, chosen) {
				return
			}
		}
		for _, region := range regions(t) {
			for chosen := range combinations(map[string][]string{"Topology": {"solo", "fleet"}, "Distributions": {"1", "3"}}) {
				if !yield(region, chosen) {
					return
				}
			}
		}
	}
}

func mustRender(t *testing.T, region string, chosen map[string]string) *stack {
	t.Helper()
	s, err := render(region, chosen)
	if err != nil {
		t.Fatalf("%s, %v: %v", region, chosen, err)
	}
	return s
}

// only is the one resource of its kind.
func only(t *testing.T, s *stack, kind string) resource {
	t.Helper()
	all := s.Of(kind)
	if len(all) != 1 {
		t.Fatalf("got %d of %s, want 1", len(all), kind)
	}
	return all[0]
}

// regions are those whose prefix list and zones are known.
func regions(t *testing.T) []string {
	t.Helper()
	network, err := load("network.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(object(at(network["Mappings"], "Region"))))
}

func TestWhatCannotWorkIsRefusedBeforeAnythingIsMade(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		region string
		chosen map[string]string
		want   string
	}{
		{"eu-south-2", nil, "This region's prefix list and zones are not known here"},
		{"eu-south-2", map[string]string{"OriginFacing": "pl-1"}, "describe-availability-zones"},
		{home, map[string]string{"ZoneA": "use1-az3"}, "Give another ZoneA"},
		{home, map[string]string{"ZoneB": "use1-az3"}, "Give another ZoneB"},
		{home, map[string]string{"ZoneA": "use1-az4", "ZoneB": "use1-az4"}, "must differ"},
		{home, map[string]string{"Architecture": "x86_64", "InstanceType": "t4g.nano"}, "x86_64 needs an InstanceType t3 or c7i"},
		{home, map[string]string{"InstanceType": "t3.nano"}, "arm64 needs an InstanceType t4g, c7g or c7gn"},
		{home, map[string]string{"InstanceType": "m1.small"}, "must be one of AllowedValues"},
		{home, map[string]string{"Topology": "duo"}, "must be one of AllowedValues"},
		{home, map[string]string{"Distributions": "9"}, "not greater than 8"},
		{home, map[string]string{"Distributions": "0"}, "not less than 1"},
		{home, map[string]string{"Withdrawn": "1,3"}, "one digit each"},
		{home, map[string]string{"Ami": "al2023"}, "or nothing for the newest"},
		{home, map[string]string{"OriginFacing": "com.amazonaws"}, "Give a prefix list"},
		{home, map[string]string{"AlarmEmail": "nobody"}, "Give one e-mail address"},
		{home, map[string]string{"FleetMin": "1"}, "not less than 2"},
		{home, map[string]string{"Generation": "61"}, "not greater than 60"},
	} {
		_, err := render(c.region, c.chosen)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, %v: got %v, want %q", c.region, c.chosen, err, c.want)
		}
	}
}

func TestAnUnknownRegionWorksWithItsListAndZones(t *testing.T) {
	t.Parallel()
	s := mustRender(t, "eu-south-2", map[string]string{"OriginFacing": "pl-0123", "ZoneA": "eus2-az1", "ZoneB": "eus2-az2"})
	all := ""
	for _, r := range s.Nested["Network"].Resources {
		all += fmt.Sprint(r.Properties)
	}
	for _, want := range []string{"pl-0123", "eus2-az1", "eus2-az2"} {
		if !strings.Contains(all, want) {
			t.Errorf("got no %s in the network", want)
		}
	}
}

func TestKnownRegionsHaveZonesThatCloudFrontReaches(t *testing.T) {
	t.Parallel()
	holes := []string{"use1-az3", "usw1-az2", "apne1-az3", "cac1-az3"}
	for _, region := range regions(t) {
		zones := []string{}
		for _, subnet := range mustRender(t, region, nil).Of("AWS::EC2::Subnet") {
			zones = append(zones, text(subnet.Properties["AvailabilityZoneId"]))
		}
		if len(zones) != 2 || zones[0] == zones[1] || slices.ContainsFunc(zones, func(z string) bool { return z == "" || slices.Contains(holes, z) }) {
			t.Errorf("%s: got zones %v", region, zones)
		}
	}
}

func TestTheRulesRegionsAreTheMappings(t *testing.T) {
	t.Parallel()
	rule, err := load(root)
	if err != nil {
		t.Fatal(err)
	}
	assertion := list(at(rule["Rules"], "KnownRegion", "Assertions"))[0]
	named := []string{}
	for _, v := range list(list(at(assertion, "Assert", "Fn::Contains"))[0]) {
		named = append(named, text(v))
	}
	slices.Sort(named)
	if want := regions(t); !slices.Equal(named, want) {
		t.Errorf("got %v, want %v", named, want)
	}
}
