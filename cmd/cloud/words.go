package main

import "time"

// part is a kind of resource as people call it, and how long CloudFormation
// usually takes to make or remove it: figures that others saw, which only tell
// people whether to wait. What takes 0 is done at once and passes silently.
type part struct {
	name         string
	made, undone time.Duration
}

const (
	minutes = time.Minute
	seconds = time.Second
)

// parts holds what a volunteer is told of.
var parts = map[string]part{
	"AWS::EC2::VPC":                             {"the private network", 15 * seconds, 0},
	"AWS::EC2::Subnet":                          {"a part of the network", 0, 0},
	"AWS::EC2::SecurityGroup":                   {"a firewall of the network", 0, 20 * minutes},
	"AWS::EC2::Instance":                        {"the origin's machine", 1 * minutes, 1 * minutes},
	"AWS::AutoScaling::AutoScalingGroup":        {"the origin's machines", 4 * minutes, 5 * minutes},
	"AWS::ElasticLoadBalancingV2::LoadBalancer": {"the load balancer before the origins", 3 * minutes, 1 * minutes},
	"AWS::SSM::Association":                     {"the origin's program on its machine", 2 * minutes, 0},
	"AWS::SecretsManager::Secret":               {"a secret", 0, 0},
	"AWS::Lambda::LayerVersion":                 {"the upload of the origin's program", 0, 0},
	"AWS::Lambda::Function":                     {"a function of the gateway door", 30 * seconds, 20 * minutes},
	"AWS::ApiGatewayV2::Api":                    {"the gateway door (API Gateway)", 0, 0},
	"AWS::IAM::Role":                            {"a role, with what it may do", 0, 0},
	"AWS::CloudFront::VpcOrigin":                {"CloudFront's way into the network", 9 * minutes, 5 * minutes},
	"AWS::CloudFront::Function":                 {"the gate at CloudFront's edges", 10 * seconds, 0},
	"AWS::CloudFront::Distribution":             {"a front (CloudFront distribution)", 5 * minutes, 6 * minutes},
	"AWS::Budgets::Budget":                      {"the budget, which warns by mail", 0, 0},
	"AWS::CloudWatch::Alarm":                    {"an alarm", 0, 0},
}

// usual is how long an action on the part takes.
func (p part) usual(removing bool) time.Duration {
	if removing {
		return p.undone
	}
	return p.made
}

// worthTelling is how long a step must usually take to be announced.
const worthTelling = time.Minute
