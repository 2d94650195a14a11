package infra

import (
	"fmt"
	"slices"
	"testing"

	"culvert/internal/cost"
)

// charged names, for each CloudFormation type that costs money, the items of
// the bill that it causes.
var charged = map[string][]cost.Item{
	"AWS::ApiGatewayV2::Api":                    {cost.Messages, cost.ConnectionMinutes, cost.DataOut},
	"AWS::ApiGatewayV2::Stage":                  {cost.Messages, cost.ConnectionMinutes, cost.DataOut},
	"AWS::AutoScaling::AutoScalingGroup":        {cost.Instances, cost.SurplusCredits, cost.Disks, cost.Addresses, cost.DataOut, cost.ZoneData},
	"AWS::CloudFront::Distribution":             {cost.EdgeOut, cost.EdgeToOrigin, cost.EdgeRequests},
	"AWS::CloudFront::Function":                 {cost.EdgeFunctions},
	"AWS::CloudWatch::Alarm":                    {cost.Alarms},
	"AWS::EC2::EIP":                             {cost.Addresses},
	"AWS::EC2::EIPAssociation":                  {cost.Addresses},
	"AWS::EC2::Instance":                        {cost.Instances, cost.SurplusCredits, cost.Disks, cost.Addresses, cost.DataOut},
	"AWS::EC2::LaunchTemplate":                  {cost.Instances, cost.SurplusCredits, cost.Disks, cost.Addresses, cost.DataOut, cost.ZoneData},
	"AWS::ElasticLoadBalancingV2::LoadBalancer": {cost.Balancer, cost.BalancerUnits},
	"AWS::Lambda::Function":                     {cost.Requests, cost.Duration, cost.Logs},
	"AWS::Lambda::LayerVersion":                 {cost.Storage},
	"AWS::Logs::LogGroup":                       {cost.Logs},
	"AWS::SecretsManager::Secret":               {cost.Secrets},
	"AWS::Serverless::Application":              {cost.Storage},
	"AWS::Serverless::Function":                 {cost.Requests, cost.Duration, cost.Logs, cost.Storage},
	"AWS::Serverless::LayerVersion":             {cost.Storage},
	"AWS::CloudFormation::Stack":                {cost.Storage},
}

// gratis are the types that cost nothing as the templates use them. A type in
// neither list has a price that the model does not know.
var gratis = map[string]bool{
	"AWS::ApiGatewayV2::Deployment":            true,
	"AWS::ApiGatewayV2::Integration":           true,
	"AWS::ApiGatewayV2::Route":                 true,
	"AWS::AutoScaling::LifecycleHook":          true,
	"AWS::AutoScaling::ScalingPolicy":          true, // its alarms: CloudWatch's first ten are free
	"AWS::Budgets::Budget":                     true, // actions cost, and ours has none
	"AWS::CloudFormation::CustomResource":      true, // its function costs
	"AWS::CloudFormation::WaitCondition":       true,
	"AWS::CloudFormation::WaitConditionHandle": true,
	"AWS::CloudFront::CachePolicy":             true,
	"AWS::CloudFront::OriginRequestPolicy":     true,
	"AWS::CloudFront::ResponseHeadersPolicy":   true,
	"AWS::CloudFront::VpcOrigin":               true,
	"AWS::EC2::InternetGateway":                true,
	"AWS::EC2::Route":                          true,
	"AWS::EC2::RouteTable":                     true,
	"AWS::EC2::SecurityGroup":                  true,
	"AWS::EC2::SecurityGroupEgress":            true,
	"AWS::EC2::SecurityGroupIngress":           true,
	"AWS::EC2::Subnet":                         true,
	"AWS::EC2::SubnetRouteTableAssociation":    true,
	"AWS::EC2::VPC":                            true,
	"AWS::EC2::VPCGatewayAttachment":           true,
	"AWS::ElasticLoadBalancingV2::Listener":    true,
	"AWS::ElasticLoadBalancingV2::TargetGroup": true,
	"AWS::Events::Rule":                        true, // on a schedule
	"AWS::IAM::InstanceProfile":                true,
	"AWS::IAM::ManagedPolicy":                  true,
	"AWS::IAM::Policy":                         true,
	"AWS::IAM::Role":                           true,
	"AWS::Lambda::Permission":                  true,
	"AWS::SNS::Subscription":                   true, // by mail
	"AWS::SNS::Topic":                          true, // 1,000 mails a month are free
	"AWS::SNS::TopicPolicy":                    true,
	"AWS::SSM::Association":                    true, // on EC2 instances
	"AWS::SSM::Document":                       true,
	"AWS::SSM::Parameter":                      true, // of the standard tier
}

func TestEachItemHasAResource(t *testing.T) {
	t.Parallel()
	var named []cost.Item
	for resource, items := range charged {
		named = append(named, items...)
		if gratis[resource] {
			t.Errorf("%s: got it in both lists", resource)
		}
		for _, item := range items {
			if !slices.Contains(cost.Items, item) {
				t.Errorf("%s: got item %q, want one of Items", resource, item)
			}
		}
	}
	for _, item := range cost.Items {
		if !slices.Contains(named, item) {
			t.Errorf("got no resource that causes %q", item)
		}
	}
}

func unknownCosts(s *stack) (problems []string) {
	for _, r := range s.All() {
		if _, costs := charged[r.Kind]; !costs && !gratis[r.Kind] {
			problems = append(problems, fmt.Sprint("cloud cost does not know ", r.Kind))
		}
	}
	return problems
}

func TestEachInstanceTypeHasAPrice(t *testing.T) {
	t.Parallel()
	f, err := load(root)
	if err != nil {
		t.Fatal(err)
	}
	types := list(at(f["Parameters"], "InstanceType", "AllowedValues"))
	for _, name := range types {
		if _, priced := cost.USEast1().Types[text(name)]; !priced && name != "" {
			t.Errorf("cloud cost does not know %v", name)
		}
	}
	if len(types) < 2 {
		t.Errorf("got types %v", types)
	}
}
