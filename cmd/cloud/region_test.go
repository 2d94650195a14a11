package main

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"culvert/cmd/cloud/internal/cfn"
)

// elsewhere are the answers of a region that the template does not know.
func elsewhere() map[string][]string {
	return map[string][]string{
		"aws ec2 describe-managed-prefix-lists":    {`["pl-1"]`},
		"aws ec2 describe-availability-zones":      {`["eus2-az3", "eus2-az1", "eus2-az2"]`},
		"aws ec2 describe-instance-type-offerings": {`["eus2-az3", "eus2-az2", "eus2-mad-wlz1"]`},
	}
}

func TestARegionThatTheTemplateDoesNotKnowIsLookedUp(t *testing.T) {
	t.Parallel()
	stands := cfn.Stack{Parameters: []cfn.Parameter{{ParameterKey: "ZoneA", ParameterValue: "eus2-az9"}, {ParameterKey: "ZoneB"}, {ParameterKey: "OriginFacing"}}}
	whole := cfn.Stack{Parameters: []cfn.Parameter{{ParameterKey: "ZoneA", ParameterValue: "a"}, {ParameterKey: "ZoneB", ParameterValue: "b"}, {ParameterKey: "OriginFacing", ParameterValue: "pl-2"}}}
	for name, one := range map[string]struct {
		region, set string
		stack       cfn.Stack
		want        map[string]string
		asks        bool
	}{
		"one that is not known": {"eu-south-2", "", cfn.Stack{}, map[string]string{"OriginFacing": "pl-1", "ZoneA": "eus2-az2", "ZoneB": "eus2-az3"}, true},
		"one that is":           {"eu-central-1", "", cfn.Stack{}, map[string]string{}, false},
		"with a zone given":     {"eu-south-2", "ZoneB=eus2-az1", cfn.Stack{}, map[string]string{"OriginFacing": "pl-1", "ZoneA": "eus2-az2", "ZoneB": "eus2-az1"}, true},
		"where a zone stands":   {"eu-south-2", "", stands, map[string]string{"OriginFacing": "pl-1", "ZoneB": "eus2-az3"}, true},
		"where all stands":      {"eu-south-2", "", whole, map[string]string{}, false},
	} {
		c, r, _ := testCloud(t, elsewhere())
		c.Region = one.region
		if one.set != "" {
			if err := c.set(one.set); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.lookUpRegion(t.Context(), one.stack); err != nil || !maps.Equal(c.given, one.want) || (len(r.Calls) > 0) != one.asks {
			t.Errorf("%s: got %v and %v after %d questions, want %v", name, c.given, err, len(r.Calls), one.want)
		}
	}
}

func TestARegionIsRefusedForAReason(t *testing.T) {
	t.Parallel()
	for what, one := range map[string]struct{ answer, says string }{
		"aws ec2 describe-managed-prefix-lists":    {"[]", "has no list of CloudFront's addresses"},
		"aws ec2 describe-instance-type-offerings": {`["eus2-az1"]`, "a t4g.nano in 1 zones"},
	} {
		answers := elsewhere()
		answers[what] = []string{one.answer}
		c, _, _ := testCloud(t, answers)
		c.Region = "eu-south-2"
		if err := c.lookUpRegion(t.Context(), cfn.Stack{}); err == nil || !strings.Contains(err.Error(), one.says) || len(c.given) > 0 {
			t.Errorf("%s: got %v, want %q and nothing set", what, err, one.says)
		}
	}
}

// Two zones in which CloudFront reaches nothing are never taken, and the template knows the same
// regions and zones.
func TestTheTemplateKnowsTheSameRegionsAndZones(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	flat := strings.Join(strings.Fields(string(text)), " ")
	list := regexp.MustCompile(`\[([^][]*)\] - !Ref AWS::Region`).FindStringSubmatch(flat)
	known := slices.Sorted(maps.Keys(knownZones))
	if list == nil || !slices.Equal(slices.Sorted(slices.Values(strings.Split(list[1], ", "))), known) {
		t.Errorf("the template knows %v, want %v", list, known)
	}
	if want := "[" + strings.Join(zonesWithoutOrigins, ", ") + "]"; strings.Count(flat, want) != 2 {
		t.Errorf("the template does not refuse exactly %s", want)
	}
	network, err := os.ReadFile("../../infra/network.yaml")
	if err != nil {
		t.Fatal(err)
	}
	mapped := map[string][2]string{}
	for _, m := range regexp.MustCompile(`(?m)^    ([a-z]{2}-[a-z]+-\d): .* A: (\S+), B: (\S+) `).FindAllStringSubmatch(string(network), -1) {
		mapped[m[1]] = [2]string{m[2], m[3]}
	}
	if !maps.Equal(mapped, knownZones) {
		t.Errorf("network.yaml knows %v, want %v", mapped, knownZones)
	}
}
