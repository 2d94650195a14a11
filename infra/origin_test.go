package infra

import (
	"encoding/base64"
	"fmt"
	"maps"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// changes are what a volunteer may change of a deployment.
var changes = map[string][]string{
	"InstanceType":  {"", "t4g.small"},
	"Ami":           {"", "ami-0123"},
	"Distributions": {"1", "8"},
	"Withdrawn":     {"", "1"},
	"Generation":    {"1", "2"},
	"Budget":        {"0", "20"},
	"AlarmEmail":    {"", "a@example.com"},
	"FleetMin":      {"2", "3"},
	"FleetMax":      {"11", "20"},
	"Edges":         {"PriceClass_All", "PriceClass_100"},
}

// lasting is what must not change, as CloudFront refuses a change of a VPC
// origin in use and an instance with another launch template is another one.
func lasting(s *stack) map[string]any {
	out := map[string]any{}
	for _, r := range s.Of("AWS::CloudFront::VpcOrigin") {
		out[r.String()] = r.Properties
	}
	for _, r := range s.Of("AWS::EC2::Instance") {
		properties := maps.Clone(r.Properties)
		delete(properties, "InstanceType") // changes by a restart
		out[r.String()] = properties
	}
	return out
}

func TestNothingChangesAVpcOriginInUse(t *testing.T) {
	t.Parallel()
	for _, base := range []map[string]string{
		{"Topology": "solo", "SoloInstance": "a"},
		{"Topology": "solo", "SoloInstance": "b"},
		{"Topology": "fleet"},
	} {
		want := lasting(mustRender(t, home, base))
		if len(want) == 0 {
			t.Fatalf("%v: got no VPC origin", base)
		}
		for chosen := range combinations(changes) {
			maps.Copy(chosen, base)
			if got := lasting(mustRender(t, home, chosen)); !reflect.DeepEqual(got, want) {
				t.Fatalf("%v: got %v, want %v", chosen, got, want)
			}
		}
	}
}

// A change of slot or topology makes a VPC origin beside the one in use.
func TestAnotherOriginIsAnotherVpcOrigin(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, base := range []map[string]string{
		{"SoloInstance": "a"}, {"SoloInstance": "b"}, {"Topology": "fleet"},
	} {
		origins := mustRender(t, home, base).Of("AWS::CloudFront::VpcOrigin")
		if len(origins) != 1 || seen[origins[0].String()] {
			t.Errorf("%v: got the VPC origins %v after %v", base, origins, seen)
			continue
		}
		seen[origins[0].String()] = true
	}
}

// CloudFormation takes no change of a wait condition, and the machine tells that of its own stack.
func TestTheStackWaitsForWhatItsMachineSays(t *testing.T) {
	t.Parallel()
	const told = "CULVERT_HANDLE=<culvert-SoloA.Handle>"
	want := only(t, mustRender(t, home, nil), "AWS::CloudFormation::WaitCondition")
	for key, values := range changes {
		for _, v := range values {
			got := only(t, mustRender(t, home, map[string]string{key: v}), "AWS::CloudFormation::WaitCondition")
			if !reflect.DeepEqual(got.Properties, want.Properties) {
				t.Errorf("%s=%s: got %v, want %v", key, v, got.Properties, want.Properties)
			}
		}
	}
	for topology, script := range installs(t) {
		if tells := strings.Contains(script, told); tells != (topology == "solo") {
			t.Errorf("%s: the machine is told of the handle: %t", topology, tells)
		}
	}
}

// An instance is of version 1 of its launch template, whatever comes after it.
func TestAnInstanceStaysAtItsLaunchTemplate(t *testing.T) {
	t.Parallel()
	for _, r := range mustRender(t, home, nil).Of("AWS::EC2::Instance") {
		if got := at(r.Properties, "LaunchTemplate", "Version"); got != "1" {
			t.Errorf("got version %v, want 1", got)
		}
		if got, want := slices.Sorted(maps.Keys(r.Properties)), []string{"InstanceType", "LaunchTemplate", "Tags"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

func openMachines(s *stack) (problems []string) {
	for _, r := range s.Of("AWS::EC2::LaunchTemplate") {
		if wrong := openMachine(object(r.Properties["LaunchTemplateData"])); wrong != "" {
			problems = append(problems, fmt.Sprint(r, " ", wrong))
		}
	}
	return problems
}

func openMachine(data map[string]any) string {
	if at(data, "MetadataOptions", "HttpTokens") != "required" || at(data, "MetadataOptions", "HttpPutResponseHopLimit") != "1" {
		return "gives its credentials to whoever can make it fetch a page"
	}
	if data["KeyName"] != nil {
		return "has an SSH key"
	}
	disks := list(data["BlockDeviceMappings"])
	if len(disks) != 1 || at(disks[0], "Ebs", "Encrypted") != true || at(disks[0], "Ebs", "VolumeType") != "gp3" || at(disks[0], "Ebs", "DeleteOnTermination") != true {
		return "has a disk that is not encrypted, not gp3 or stays"
	}
	return ""
}

func TestOpenMachinesAreSeen(t *testing.T) {
	t.Parallel()
	closed := func() map[string]any {
		return map[string]any{
			"MetadataOptions":     map[string]any{"HttpTokens": "required", "HttpPutResponseHopLimit": "1"},
			"BlockDeviceMappings": []any{map[string]any{"Ebs": map[string]any{"Encrypted": true, "VolumeType": "gp3", "DeleteOnTermination": true}}},
		}
	}
	if wrong := openMachine(closed()); wrong != "" {
		t.Errorf("a closed one %s", wrong)
	}
	for key, v := range map[string]any{"MetadataOptions": nil, "KeyName": "mine", "BlockDeviceMappings": nil} {
		data := closed()
		if data[key] = v; openMachine(data) == "" {
			t.Errorf("got nothing wrong with %s %v", key, v)
		}
	}
}

// installs are the scripts that machines run, by topology.
func installs(t *testing.T) map[string]string {
	t.Helper()
	solo := only(t, mustRender(t, home, nil), "AWS::SSM::Document")
	fleet := only(t, mustRender(t, home, map[string]string{"Topology": "fleet"}), "AWS::EC2::LaunchTemplate")
	userData, err := base64.StdEncoding.DecodeString(text(at(fleet.Properties, "LaunchTemplateData", "UserData")))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"solo": text(list(at(list(at(solo.Properties, "Content", "mainSteps"))[0], "inputs", "runCommand"))[0]), "fleet": string(userData)}
}

func TestMachinesAreToldWhatTheyNeed(t *testing.T) {
	t.Parallel()
	for topology, script := range installs(t) {
		for _, want := range []string{
			"CULVERT_LAYER=<culvert.OriginLayer>\n",
			"CULVERT_MASTER_SECRETS=<culvert-Secrets.OddMaster>\n",
			"CULVERT_GATE_SECRETS=<culvert-Secrets.OddGate>\n",
			"CULVERT_GATEWAY=https://<culvert.Api>.execute-api.us-east-1.amazonaws.com/v1\n",
			"CULVERT_POSTS_ROLE=<culvert-Roles.Posts.Arn>\n",
			"CULVERT_REVOKED_PARAMETER=<culvert.Revoked>\n",
			"CULVERT_FRONTS_PARAMETER=<culvert.Lists>",
		} {
			if !strings.Contains(script, want) {
				t.Errorf("%s: the script lacks %q", topology, want)
			}
		}
		if isFleet := strings.Contains(script, "CULVERT_GROUP=culvert-origins\n"); isFleet != (topology == "fleet") {
			t.Errorf("%s: got a group: %t", topology, isFleet)
		}
		if len(script) > 16<<10 || strings.Contains(script, "{{") {
			t.Errorf("%s: UserData may have 16 KiB and an SSM document no {{, got %d bytes", topology, len(script))
		}
	}
}

func TestMachinesScriptsParse(t *testing.T) {
	t.Parallel()
	for topology, script := range installs(t) {
		bash := exec.CommandContext(t.Context(), "bash", "-n")
		bash.Stdin = strings.NewReader(script)
		if out, err := bash.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", topology, err, out)
		}
	}
}

// The group signals to, and is drained by, what the machines are told.
func TestAFleetsNamesAgree(t *testing.T) {
	t.Parallel()
	s := mustRender(t, home, map[string]string{"Topology": "fleet"})
	group := only(t, s, "AWS::AutoScaling::AutoScalingGroup")
	script := installs(t)["fleet"]
	for _, want := range []string{
		fmt.Sprintf("CULVERT_GROUP=%s\n", group.Properties["AutoScalingGroupName"]),
		fmt.Sprintf("CULVERT_SIGNAL_STACK=%s\n", group.Stack.Name),
		fmt.Sprintf("CULVERT_SIGNAL_RESOURCE=%s", group.Name),
	} {
		if !strings.Contains(script, want) {
			t.Errorf("the script lacks %q", want)
		}
	}
	policy := only(t, s, "AWS::IAM::Policy")
	statement := list(at(policy.Properties, "PolicyDocument", "Statement"))[1]
	if want := fmt.Sprint(":autoScalingGroupName/", group.Properties["AutoScalingGroupName"]); !strings.HasSuffix(text(at(statement, "Resource")), want) {
		t.Errorf("the role may end machines of %v, want %s", at(statement, "Resource"), want)
	}
	if hook := only(t, s, "AWS::AutoScaling::LifecycleHook"); hook.Properties["LifecycleHookName"] != "drain" {
		t.Errorf("got the hook %v, want drain, which host/tend ends", hook.Properties["LifecycleHookName"])
	}
}
