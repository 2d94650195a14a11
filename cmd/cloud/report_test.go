package main

import (
	"os"
	"strings"
	"testing"

	"culvert/cmd/cloud/internal/cfn"
	"culvert/test/awstest"
)

// reportAnswers are those of a deployment in which all went well. What is secret, or tells whose it is, says "private".
func reportAnswers() map[string][]string {
	return map[string][]string{
		"aws cloudformation list-stack-resources": {`{"StackResourceSummaries": [
			{"ResourceType": "AWS::EC2::SecurityGroup", "PhysicalResourceId": "sg-private"},
			{"ResourceType": "AWS::EC2::Subnet", "PhysicalResourceId": "subnet-private"},
			{"ResourceType": "AWS::EC2::VPC", "PhysicalResourceId": "vpc-private"},
			{"ResourceType": "AWS::EC2::Instance", "PhysicalResourceId": "i-private"},
			{"ResourceType": "AWS::Lambda::Function", "PhysicalResourceId": "private"},
			{"ResourceType": "AWS::SSM::Association", "PhysicalResourceId": "private"},
			{"ResourceType": "AWS::CloudFront::Function", "PhysicalResourceId": "arn:private:function/private"}]}`},
		"aws ec2 describe-managed-prefix-lists":    {`["pl-3b927c52"]`},
		"aws ec2 describe-security-groups":         {`["pl-3b927c52"]`, `1`},
		"aws ec2 describe-subnets":                 {`["use1-az2", "use1-az1"]`},
		"aws ec2 describe-availability-zones":      {`["use1-az1", "use1-az2"]`},
		"aws ec2 describe-instance-type-offerings": {`["use1-az1", "use1-az2"]`},
		"aws cloudfront get-function":              {gateCode + ` "private"`},
		"aws ec2 describe-instances":               {`["ami-private"]`},
		"aws apigatewayv2 get-stage":               {`{"LastDeploymentStatusMessage": "Successfully deployed stage with deployment ID 'private'"}`},
		"aws lambda get-function-configuration":    {`"Active"`},
		"aws ssm describe-association":             {`"Success"`},
		"aws ssm send-command":                     {`{"Command": {"CommandId": "private"}}`},
		"aws ssm list-command-invocations":         {`{"CommandInvocations": [{"Status": "Success", "CommandPlugins": [{"Output": "/dev/zram0\nagent\n"}]}]}`},
		"aws ec2 describe-network-interfaces":      {`["lambda", "interface", "lambda", "arn:private/1"]`},
		"aws budgets describe-budgets":             {`{}`},
	}
}

func reported(t *testing.T, answers map[string][]string) string {
	t.Helper()
	c, _, said := testCloud(t, answers)
	s := cfn.Stack{ID: "arn:private", Parameters: []cfn.Parameter{{ParameterKey: "Topology", ParameterValue: "solo"}}}
	if err := c.findings(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if text := said.String(); strings.Contains(text, "private") || strings.Contains(text, "123456789012") {
		t.Errorf("tells whose it is:\n%s", text)
	}
	return said.String()
}

func TestTheReportAnswersWhatOnlyAnAccountKnows(t *testing.T) {
	t.Parallel()
	awstest.WantSaid(t, reported(t, reportAnswers()), "let in yes, pl-3b927c52", "machine yes, t4g.nano in use1-az1 and use1-az2", "function yes",
		"its name yes", "deployed yes", "network 1 Active", "ended 1 Success", "yes, memory (zram)", "its own yes", "1 interface, 2 lambda", "listed yes", "worked not tested")
}

// A report is made of whatever can be asked, and AWS's sentences, which may name the account, are not in it.
func TestTheReportSaysWhatWasNotAnswered(t *testing.T) {
	t.Parallel()
	answers := reportAnswers()
	for command := range answers {
		if command != "aws cloudformation list-stack-resources" {
			answers[command] = []string{"!An error occurred (AccessDenied) when calling the Something operation: User: arn:aws:iam::123456789012:user/private may not"}
		}
	}
	said := reported(t, answers)
	if n := strings.Count(said, "not answered (AccessDenied)"); n != len(questions) {
		t.Errorf("got %d answers that are missing, want all %d:\n%s", n, len(questions), said)
	}
}

// An empty answer, as of a command line that writes no file to a pipe, is no yes. What the question looks for is in the
// code that is deployed.
func TestAGateWithoutItsCodeIsNoAnswer(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", `{"ETag": "private"}`} {
		answers := reportAnswers()
		answers["aws cloudfront get-function"] = []string{text}
		awstest.WantSaid(t, reported(t, answers), "CloudFront's function not answered")
	}
	template, err := os.ReadFile("../../infra/front.yaml")
	if err != nil || !strings.Contains(string(template), gateCode) {
		t.Errorf("got %v, want %q in the template of the function", err, gateCode)
	}
}

func TestTheReportSaysWhatIsNotAsItShouldBe(t *testing.T) {
	t.Parallel()
	answers := reportAnswers()
	answers["aws ec2 describe-security-groups"] = []string{`["pl-00000000"]`, `0`}
	answers["aws cloudfront get-function"] = []string{gateCode + ` "{{resolve:secretsmanager:private}}"`}
	answers["aws ec2 describe-instance-type-offerings"] = []string{`["use1-az1", "use1-az3", "use1-az4"]`}
	answers["aws ec2 describe-availability-zones"] = []string{`["use1-az1", "use1-az4"]`}
	answers["aws ssm list-command-invocations"] = []string{`{"CommandInvocations": [{"Status": "Failed", "CommandPlugins": [{"Output": ""}]}]}`}
	awstest.WantSaid(t, reported(t, answers), "let in no, pl-3b927c52", "machine no, t4g.nano", "function no", "swap space in no", "its own no")
}
