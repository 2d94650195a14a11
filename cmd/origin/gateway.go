package main

import (
	"context"
	"regexp"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"culvert/internal/serve"
	"culvert/origin"
)

// executeAPI is the host of an API Gateway, which names its region.
var executeAPI = regexp.MustCompile(`^[a-z0-9]+\.execute-api\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?$`)

func (c *config) checkGateway() serve.SettingError {
	if c.Gateway.Host != "" && !c.Advertise.isSet() {
		return serve.SettingError{Name: "CULVERT_ADVERTISE", Problem: "is not set, but CULVERT_GATEWAY is: functions must reach this origin",
			Try: "CULVERT_ADVERTISE=10.0.1.7:8080"}
	}
	return serve.SettingError{}
}

// gateway finds the credentials: of the machine's role, or of the environment.
// They are asked for when they are needed first.
func (c *config) gateway(ctx context.Context) (origin.Gateway, error) {
	if c.Gateway.Host == "" {
		return origin.Gateway{}, nil
	}
	found, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return origin.Gateway{}, serve.SettingError{Name: "CULVERT_GATEWAY", Problem: "the AWS settings cannot be read: " + err.Error(),
			Try: "to run 'aws sts get-caller-identity' as this user"}
	}
	region := found.Region
	if m := executeAPI.FindStringSubmatch(c.Gateway.Hostname()); m != nil {
		region = m[1]
	}
	if region == "" {
		return origin.Gateway{}, serve.SettingError{Name: "CULVERT_GATEWAY", Problem: "names no region, nor does AWS_REGION", Try: "AWS_REGION=eu-west-1"}
	}
	return origin.Gateway{URL: &c.Gateway.URL, Region: region, Credentials: found.Credentials}, nil
}
