package advice

import (
	"errors"
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

// What CloudFormation passes on has the service's words, status, request's id and the handler's
// code in one text, some of which mean something else by themselves.
func TestWhatCloudFormationPassesOnLeadsToAdvice(t *testing.T) {
	t.Parallel()
	o := aws.Target{Region: "eu-west-1", Stack: "culvert", Profile: "me"}
	const support = "To verify your account, please contact AWS Support (https://console.aws.amazon.com/support/home#/) and include this error message."
	passedOn := func(words, service, status, code string) string {
		return `Resource handler returned message: "` + words + ` (Service: ` + service + `, Status Code: ` + status +
			`, Request ID: 6d470e8b-9fc5-455b-81aa-2814b0a57118) (SDK Attempt Count: 1)" (RequestToken: 457b169c-3690-b98b-1cba-7114d3a0f94b, HandlerErrorCode: ` + code + `)`
	}
	for _, c := range []struct{ name, said, problem, try string }{
		{"CloudFront for an account that is not verified",
			passedOn("Access denied for operation 'AWS::CloudFront::Distribution: Your account must be verified before you can add new CloudFront resources. "+support, "CloudFront", "403", "AccessDenied"), "has not verified the account", "support case"},
		{"the same of CloudFront itself",
			"An error occurred (AccessDenied) when calling the CreateDistribution operation: Your account must be verified before you can add new CloudFront resources. " + support, "has not verified the account", "support case"},
		{"the same as older handlers say it",
			"Your account must be verified before you can add new CloudFront resources. " + support + " (Service: AmazonCloudFront; Status Code: 403; Error Code: AccessDenied; Request ID: 6d470e8b; Proxy: null)", "has not verified the account", "support case"},
		{"a role that is not known everywhere",
			passedOn("The provided execution role does not have permissions to call CreateNetworkInterface on EC2", "Lambda", "400", "InvalidRequest"), "new role", "Wait a minute"},
		{"an association that did not come to its end",
			"Resource of type 'AWS::SSM::Association' with identifier 'b8d705e6-af89-464c-bc64-ec1e956254c9' did not stabilize.", "not installed on it in time", "make status"},
		{"a machine that was silent",
			"Received 0 SUCCESS signal(s) out of 1. Unable to satisfy 100% MinSuccessfulInstancesPercent requirement", "not installed on it in time", "make deploy"},
		{"a machine that said why",
			"Installed: WaitCondition received failed message: 'the layer's checksum is wrong: nothing was changed; deploy again' for uniqueId: i-0123456789abcdef0", "could not be installed on it: the layer's checksum is wrong: nothing was changed; deploy again", "make deploy"},
		{"no machine in a zone",
			passedOn("We currently do not have sufficient t4g.nano capacity in the Availability Zone you requested (eu-west-1a). Our system will be working on provisioning additional capacity. You can currently get t4g.nano capacity by not specifying an Availability Zone in your request or choosing eu-west-1b, eu-west-1c.", "Ec2", "500", "InternalFailure"), "no free machine of this kind", "name zones"},
		{"an account that is new in a region",
			passedOn("Your request for accessing resources in this region is being validated, and you will not be able to launch additional resources in this region until the validation is complete. We will notify you by email once your request has been validated. While normally resolved within minutes, please allow up to 4 hours for this process to complete. If the issue still persists, please let us know by writing to aws-verification@amazon.com for further assistance.", "Ec2", "400", "GeneralServiceException"), "checks the account for region eu-west-1", "four hours"},
		{"no processors left",
			passedOn("You have requested more vCPU capacity than your current vCPU limit of 1 allows for the instance bucket that the specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.", "Ec2", "400", "ServiceLimitExceeded"), "quota of vCPUs", "L-1216C47A"},
		{"no addresses left",
			passedOn("The maximum number of addresses has been reached.", "Ec2", "400", "ServiceLimitExceeded"), "Elastic IP addresses", "L-0263D0A3"},
		{"no networks left",
			passedOn("The maximum number of VPCs has been reached.", "Ec2", "400", "ServiceLimitExceeded"), "networks (VPCs)", "L-F678F1CE"},
		{"no distributions left",
			passedOn("You have exceeded the number of distributions that can be created for an account.", "CloudFront", "400", "ServiceLimitExceeded"), "CloudFront distributions", "L-24B04930"},
		{"an organisation's rule",
			passedOn("User: arn:aws:sts::123456789012:assumed-role/me/me is not authorized to perform: ec2:CreateVpc on resource: arn:aws:ec2:eu-west-1:123456789012:vpc/* with an explicit deny in a service control policy", "Ec2", "403", "AccessDenied"), "may not do ec2:CreateVpc: a service control policy forbids it", "REGION="},
		{"no permission, and no name of one",
			"An error occurred (UnauthorizedOperation) when calling the DescribeVpcs operation: You are not authorized to perform this operation. Encoded authorization failure message: Ab3dEf", "lack a permission", "AdministratorAccess"},
		{"single sign-on that is over",
			"The SSO session associated with this profile has expired or is otherwise invalid. To refresh this SSO session run aws sso login with the corresponding profile.", "have expired", "aws sso login --profile me"},
		{"single sign-on that was ended elsewhere",
			"An error occurred (UnauthorizedException) when calling the GetRoleCredentials operation: Session token not found or invalid", "have expired", "aws sso login --profile me"},
		{"single sign-on without the role",
			"An error occurred (ForbiddenException) when calling the GetRoleCredentials operation: No access", "does not give you the role", "aws configure sso --profile me"},
		{"a clock that is behind",
			"An error occurred (SignatureDoesNotMatch) when calling the GetCallerIdentity operation: Signature not yet current: 20261128T120000Z is still later than 20261128T110000Z (20261128T105500Z + 5 min.)", "clock is wrong", "set-ntp"},
		{"a service that failed",
			passedOn("An internal error has occurred", "Ec2", "500", "ServiceInternalError") + " InternalFailure", "did not answer properly", "Wait a minute"},
	} {
		a, _ := Explain(o, errors.New(c.said)).(*Advice)
		if a == nil || !strings.Contains(a.Problem, c.problem) || !strings.Contains(a.Try, c.try) {
			t.Errorf("%s:\ngot  %+v\nwant %q and %q", c.name, a, c.problem, c.try)
		}
	}
}
