package infra

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// goesWith says of each type that a stack has what AWS may keep, or make beside it, when the stack
// is deleted, and why that costs nothing. "" is for what goes without a trace.
var goesWith = map[string]string{
	"AWS::ApiGatewayV2::Api":                    "",
	"AWS::ApiGatewayV2::Integration":            "",
	"AWS::ApiGatewayV2::Route":                  "",
	"AWS::ApiGatewayV2::Stage":                  "it keeps no log, see longLogs",
	"AWS::AutoScaling::AutoScalingGroup":        "CloudFormation waits until its instances have ended, with their disks: see openMachines",
	"AWS::AutoScaling::LifecycleHook":           "",
	"AWS::AutoScaling::ScalingPolicy":           "takes its alarms with it",
	"AWS::Budgets::Budget":                      "",
	"AWS::CloudFormation::Stack":                "its deleted record stays for 90 days, free",
	"AWS::CloudFormation::WaitCondition":        "",
	"AWS::CloudFormation::WaitConditionHandle":  "an address of AWS's own, which ends by itself",
	"AWS::CloudFront::Distribution":             "it keeps no log, see openDistributions",
	"AWS::CloudFront::Function":                 "",
	"AWS::CloudFront::VpcOrigin":                "CloudFront deletes its interfaces and, with the network's last VPC origin, its security group (aws/aws-cdk#33318); either is free",
	"AWS::CloudWatch::Alarm":                    "",
	"AWS::EC2::Instance":                        "ends, with its disk: see openMachines",
	"AWS::EC2::InternetGateway":                 "",
	"AWS::EC2::LaunchTemplate":                  "takes its versions with it",
	"AWS::EC2::Route":                           "",
	"AWS::EC2::RouteTable":                      "",
	"AWS::EC2::SecurityGroup":                   "",
	"AWS::EC2::SecurityGroupEgress":             "",
	"AWS::EC2::SecurityGroupIngress":            "",
	"AWS::EC2::Subnet":                          "",
	"AWS::EC2::SubnetRouteTableAssociation":     "",
	"AWS::EC2::VPC":                             "",
	"AWS::EC2::VPCGatewayAttachment":            "",
	"AWS::ElasticLoadBalancingV2::Listener":     "",
	"AWS::ElasticLoadBalancingV2::LoadBalancer": "takes its interfaces with it",
	"AWS::ElasticLoadBalancingV2::TargetGroup":  "",
	"AWS::Events::Rule":                         "",
	"AWS::IAM::InstanceProfile":                 "",
	"AWS::IAM::ManagedPolicy":                   "",
	"AWS::IAM::Policy":                          "",
	"AWS::IAM::Role":                            "AWS's own service-linked roles stay, free",
	"AWS::Lambda::Permission":                   "",
	"AWS::Logs::LogGroup":                       "a last line that came late would cost next to nothing, and destroy looks for it",
	"AWS::SNS::Topic":                           "takes its subscription with it",
	"AWS::SSM::Association":                     "",
	"AWS::SSM::Document":                        "what it said stays for 30 days, free",
	"AWS::SSM::Parameter":                       "",
	"AWS::SecretsManager::Secret":               "one that waits for its deletion is free",
	"AWS::Serverless::Function":                 "CloudFormation waits until its interfaces are gone; it logs to a log of ours",
	"AWS::Serverless::LayerVersion":             "",
}

// swept are the beginnings of names that cmd/cloud/destroy.go looks for.
var swept = map[string]struct{ property, begin string }{
	"AWS::Logs::LogGroup":         {"LogGroupName", "/culvert/culvert/"},
	"AWS::SSM::Parameter":         {"Name", "/culvert/culvert/"},
	"AWS::SecretsManager::Secret": {"Name", "culvert/"},
}

// staying says what of a stack would outlive it.
func staying(s *stack) (problems []string) {
	for _, r := range s.All() {
		if _, known := goesWith[r.Kind]; !known {
			problems = append(problems, fmt.Sprintf("nobody said what stays of %s, of type %s", r, r.Kind))
		}
		if wrong := kept(r); wrong != "" {
			problems = append(problems, fmt.Sprint(r, " ", wrong))
		}
	}
	return problems
}

// kept says what keeps r, or hides it from destroy's search.
func kept(r resource) string {
	name := swept[r.Kind]
	switch {
	case r.Attributes["DeletionPolicy"] != nil && r.Attributes["DeletionPolicy"] != "Delete":
		return "is kept when the stack is deleted"
	case r.Attributes["UpdateReplacePolicy"] != nil && r.Attributes["UpdateReplacePolicy"] != "Delete":
		return "is kept when another takes its place"
	case r.Kind == "AWS::Serverless::LayerVersion" && r.Properties["RetentionPolicy"] != "Delete":
		return "is kept: SAM's default is Retain"
	case !strings.HasPrefix(text(r.Properties[name.property]), name.begin):
		return "has a name that destroy does not look for"
	case makesLogs(r):
		return "may make a log that nobody deletes"
	}
	return ""
}

// makesLogs: whoever may make a log group does so again after it was deleted.
func makesLogs(r resource) bool {
	policies, _ := statements(r)
	for _, statement := range policies {
		if statement["Effect"] == "Allow" && slices.Contains(several(statement["Action"]), any("logs:CreateLogGroup")) {
			return true
		}
	}
	return false
}

func TestWhatStaysIsSeen(t *testing.T) {
	t.Parallel()
	for _, r := range []resource{
		{Kind: "AWS::EC2::Volume"},
		{Kind: "AWS::EC2::VPC", Attributes: map[string]any{"DeletionPolicy": "Retain"}},
		{Kind: "AWS::EC2::VPC", Attributes: map[string]any{"DeletionPolicy": "Snapshot"}},
		{Kind: "AWS::EC2::VPC", Attributes: map[string]any{"UpdateReplacePolicy": "Retain"}},
		{Kind: "AWS::Serverless::LayerVersion"},
		{Kind: "AWS::Logs::LogGroup", Properties: map[string]any{"LogGroupName": "/aws/lambda/x"}},
		{Kind: "AWS::SecretsManager::Secret", Properties: map[string]any{"Name": "culvert-2/x"}},
		{Kind: "AWS::SSM::Parameter"},
		{Kind: "AWS::IAM::Policy", Properties: map[string]any{"PolicyDocument": map[string]any{"Statement": []any{
			map[string]any{"Effect": "Allow", "Action": []any{"logs:PutLogEvents", "logs:CreateLogGroup"}, "Resource": "arn"}}}}},
	} {
		r.Stack = &stack{}
		if problems := staying(&stack{Resources: []resource{r}}); len(problems) != 1 {
			t.Errorf("%s: got %q, want one problem", r.Kind, problems)
		}
	}
}

func TestNothingIsSaidOfTypesThatNoStackHas(t *testing.T) {
	t.Parallel()
	there := map[string]bool{}
	for _, topology := range []string{"solo", "fleet"} {
		for _, r := range mustRender(t, home, map[string]string{"Topology": topology, "AlarmEmail": "a@example.com"}).All() {
			there[r.Kind] = true
		}
	}
	for kind := range goesWith {
		if !there[kind] {
			t.Errorf("no stack has %s any more", kind)
		}
	}
}

// Lambda takes the interfaces of its functions out of the network by their roles, after the functions
// are gone: the roles go after the network, which is what is made after them.
func TestRolesOutliveTheNetwork(t *testing.T) {
	t.Parallel()
	f, err := load(root)
	if err != nil {
		t.Fatal(err)
	}
	if got := at(f.Section("Resources"), "Network", "DependsOn"); got != "Roles" {
		t.Errorf("the network is made after %v, want Roles", got)
	}
}
