package cost

// Resources names, for each CloudFormation type that costs money, the items of
// the bill that it causes.
var Resources = map[string][]Item{
	"AWS::ApiGatewayV2::Api":                    {Messages, ConnectionMinutes, DataOut},
	"AWS::ApiGatewayV2::Stage":                  {Messages, ConnectionMinutes, DataOut},
	"AWS::AutoScaling::AutoScalingGroup":        {Instances, Disks, Addresses, DataOut, ZoneData},
	"AWS::CloudFront::Distribution":             {EdgeOut, EdgeToOrigin, EdgeRequests},
	"AWS::CloudFront::Function":                 {EdgeFunctions},
	"AWS::CloudWatch::Alarm":                    {Alarms},
	"AWS::EC2::EIP":                             {Addresses},
	"AWS::EC2::EIPAssociation":                  {Addresses},
	"AWS::EC2::Instance":                        {Instances, Disks, Addresses, DataOut},
	"AWS::EC2::LaunchTemplate":                  {Instances, Disks, Addresses, DataOut, ZoneData},
	"AWS::ElasticLoadBalancingV2::LoadBalancer": {Balancer, BalancerUnits},
	"AWS::Lambda::Function":                     {Requests, Duration, Logs},
	"AWS::Lambda::LayerVersion":                 {Storage},
	"AWS::Logs::LogGroup":                       {Logs},
	"AWS::SecretsManager::Secret":               {Secrets},
	"AWS::Serverless::Application":              {Storage},
	"AWS::Serverless::Function":                 {Requests, Duration, Logs, Storage},
	"AWS::Serverless::LayerVersion":             {Storage},
	"AWS::CloudFormation::Stack":                {Storage},
}

// Gratis are the types that cost nothing as the templates use them. A type in
// neither list has a price that the model does not know.
var Gratis = map[string]bool{
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
