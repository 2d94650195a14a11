package advice

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"culvert/internal/aws"
)

// AWS's own words, as the command lines print them, lead to what to try.
func TestAWSsWordsLeadToAdvice(t *testing.T) {
	t.Parallel()
	o := aws.Target{Region: "eu-west-1", Stack: "culvert", Profile: "me"}
	for said, want := range map[string][2]string{
		"Unable to locate credentials. You can configure credentials by running \"aws configure\".":                                                                                {"no AWS credentials", "aws configure sso"},
		"The config profile (you) could not be found":                                                                                                                              {"no AWS profile with the name you", "aws configure --profile you"},
		"An error occurred (ExpiredToken) when calling the GetCallerIdentity operation: The security token included in the request is expired":                                     {"have expired", "aws sso login --profile me"},
		"Error when retrieving token from sso: Token has expired and refresh failed":                                                                                               {"have expired", "aws sso login"},
		"An error occurred (InvalidClientTokenId) when calling the GetCallerIdentity operation: The security token included in the request is invalid.":                            {"does not know these credentials in region eu-west-1", "enable eu-west-1"},
		"An error occurred (SignatureDoesNotMatch) when calling the GetCallerIdentity operation: Signature expired: 20261123T080000Z is now earlier than 20261123T090000Z":         {"clock is wrong", "timedatectl"},
		"An error occurred (SignatureDoesNotMatch) when calling the GetCallerIdentity operation: The request signature we calculated does not match":                               {"secret access key", "Copy it again"},
		"Could not connect to the endpoint URL: \"https://sts.eu-west-1.amazonaws.com/\"":                                                                                          {"cannot be reached", "online"},
		"SSL validation failed for https://sts.eu-west-1.amazonaws.com/ [SSL: CERTIFICATE_VERIFY_FAILED]":                                                                          {"certificate that is not AWS's", "another network"},
		"An error occurred (AccessDenied) when calling the CreateChangeSet operation: User: arn:aws:iam::1:user/a is not authorized to perform: cloudformation:CreateChangeSet on": {"lack the permission cloudformation:CreateChangeSet", "AdministratorAccess"},
		"User: arn:aws:iam::1:user/a is not authorized to perform: ec2:RunInstances on resource: x with an explicit deny in a service control policy":                              {"may not do ec2:RunInstances: a service control policy forbids it", "administrator has to change it"},
		"An error occurred (Throttling) when calling the DescribeStacks operation (reached max retries: 2): Rate exceeded":                                                         {"slower", "Wait a minute"},
		"An error occurred (RequestLimitExceeded) when calling the DescribeInstances operation: Request limit exceeded.":                                                           {"slower", "Wait a minute"},
		"An error occurred (TooManyRequestsException) when calling the CreateApi operation: Too Many Requests":                                                                     {"slower", "Wait a minute"},
		"Resource handler returned message: \"You have requested more vCPU capacity than your current vCPU limit of 0 allows\"":                                                    {"vCPUs", "--region eu-west-1"},
		"Your account must be verified before you can add new CloudFront resources. To verify your account, please contact AWS Support":                                            {"has not verified the account", "support"},
		"We currently do not have sufficient t4g.nano capacity (Service: Ec2): InsufficientInstanceCapacity":                                                                       {"no free machine", "INSTANCE="},
		"Template error: rule assertion failed: Give another ZoneA":                                                                                                                {"refuses these settings", "words above"},
		"The specified VPC origin is currently in use by one or more distributions (Status Code: 409, CannotUpdateEntityWhileInUse)":                                               {"while it is in use", "SoloInstance"},
		"subnet 'subnet-1' has dependencies and cannot be deleted. (DependencyViolation)":                                                                                          {"20 minutes", "same command again"},
		"Unrecognized resource types: [AWS::CloudFront::VpcOrigin]":                                                                                                                {"eu-west-1 does not have all", "REGION="},
		"culvert-gate already exists in stack arn:aws:cloudformation:us-east-1:1:stack/other":                                                                                      {"there already", "STACK=other"},
		"The maximum number of addresses has been reached. (AddressLimitExceeded)":                                                                                                 {"Elastic IP", "L-0263D0A3"},
		"An error occurred (OptInRequired) when calling the DescribeVpcs operation":                                                                                                {"not fully set up", "sign-up"},
		"Parameter 'Topology' must be one of AllowedValues":                                                                                                                        {"one of these settings", "what it may be"},
		"[Errno 28] No space left on device": {"disk is full", "room"},
	} {
		var a *Advice
		if err := Explain(o, errors.New(said)); !errors.As(err, &a) {
			t.Errorf("no advice for: %s", said)
		} else if !strings.Contains(a.Problem, want[0]) || !strings.Contains(a.Try, want[1]) {
			t.Errorf("%s:\ngot  %q, %q\nwant %q", said, a.Problem, a.Try, want)
		}
	}
}

func TestNoAdviceHasAPlaceThatIsNotFilled(t *testing.T) {
	t.Parallel()
	o := aws.Target{Region: "eu-west-1", Stack: "culvert"}
	for _, m := range meanings {
		if text := o.Fill(m.problem + m.try); strings.ContainsAny(text, "{}") {
			t.Errorf("%s: not filled: %s", m.pattern, text)
		}
	}
}

func TestWhatIsNotKnownIsSaidAsItIs(t *testing.T) {
	t.Parallel()
	err := errors.New("something new")
	if got := Explain(aws.Target{}, err); got != err {
		t.Errorf("got %v, want the error itself", got)
	}
}

func TestWhatMayFailInANewAccountHasAdvice(t *testing.T) {
	t.Parallel()
	o := aws.Target{Region: "us-east-1", Stack: "culvert"}
	for said, want := range map[string]string{
		"User: arn:aws:iam::1:user/a is not authorized to perform: budgets:ModifyBudget (Service: Budgets, Status Code: 400, Request ID: 1)":                                          "BUDGET=0",
		"Account 1 is a linked account. To enable budgets for your account, ask the payer account to enable budgets first.":                                                           "BUDGET=0",
		"The specified instance type is not eligible for Free Tier. For a list of Free Tier instance types, run 'describe-instance-types' with the filter 'free-tier-eligible=true'.": "INSTANCE=t4g.micro",
		"Resource handler returned message: \"The provided execution role does not have permissions to call CreateNetworkInterface on EC2 (Service: Lambda, Status Code: 400)\"":      "Wait a minute",
		"This account is currently blocked and not recognized as a valid account. Please contact aws-verification@amazon.com if you have questions.":                                  "support case",
	} {
		a, _ := Explain(o, errors.New(said)).(*Advice)
		if a == nil || !strings.Contains(a.Try, want) {
			t.Errorf("%s: got %v, want advice with %q", said, a, want)
		}
	}
}

// refusal is what AWS says, in full, as CloudFormation or the command line passes it on: the service's words, the
// status, the request's id and the handler's code in one text, some of which mean something else by themselves.
// .ci/cloud has a part of a stack, or a call, refused by each that names one.
type refusal struct{ Name, Said, Problem, Try string }

func TestWhatAWSSaysInFullLeadsToAdvice(t *testing.T) {
	t.Parallel()
	o := aws.Target{Region: "eu-west-1", Stack: "culvert", Profile: "me"}
	text, err := os.ReadFile("testdata/refusals.json")
	var all []refusal
	if err := errors.Join(err, json.Unmarshal(text, &all)); err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		a, _ := Explain(o, errors.New(r.Said)).(*Advice)
		if a == nil || !strings.Contains(a.Problem, o.Fill(r.Problem)) || !strings.Contains(a.Try, o.Fill(r.Try)) {
			t.Errorf("%s:\ngot  %+v\nwant %q and %q", r.Name, a, r.Problem, r.Try)
		}
	}
}
