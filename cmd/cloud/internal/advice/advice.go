// Package advice says what an error of AWS's means, and what to try.
package advice

import (
	"errors"
	"fmt"
	"regexp"

	"culvert/internal/aws"
)

// Advice is an error that a volunteer can act on. Try is shown below Problem,
// and what AWS said, if anything, between them. A line of Try that begins with
// two spaces is a command.
type Advice struct {
	Problem, Try string
	Err          error // nil: the problem is our own finding
}

func (a *Advice) Error() string { return a.Problem }
func (a *Advice) Unwrap() error { return a.Err }

// New makes an error of our own that says what to try.
func New(try, problem string, args ...any) error {
	return &Advice{Problem: fmt.Sprintf(problem, args...), Try: try}
}

// meaning turns AWS's words into ours. In problem and try, $1 and so on are
// what pattern found; {profile}, {region} and {stack} are the volunteer's.
type meaning struct {
	pattern      *regexp.Regexp
	problem, try string
}

// Explain is err with advice where its text is known, and err itself where it
// is not, or is nil, or is Advice already. Commands in the advice are for the
// target.
func Explain(t aws.Target, err error) error {
	var known *Advice
	if err == nil || errors.As(err, &known) {
		return err
	}
	text := err.Error()
	for _, m := range meanings {
		found := m.pattern.FindStringSubmatchIndex(text)
		if found == nil {
			continue
		}
		fill := func(s string) string {
			return t.Fill(string(m.pattern.ExpandString(nil, s, text, found)))
		}
		return &Advice{fill(m.problem), fill(m.try), err}
	}
	return err
}

// Quota says how to get n of what AWS counts under code in Service Quotas.
func Quota(service, code, n, name string) string {
	return "Ask AWS for more " + name + "; small requests are often granted within an hour. Then run this again:\n" +
		"  aws service-quotas request-service-quota-increase --region {region} \\\n" +
		"    --service-code " + service + " --quota-code " + code + " --desired-value " + n + "\n" +
		"Or delete what is not needed, or take another region (REGION=name)."
}

const (
	newKeys = "Log in again and run this again. With single sign-on (it needs version 2 of the AWS command line, https://aws.amazon.com/cli):\n  aws sso login --profile {profile}\n" +
		"With access keys, copy the new ones:\n  aws configure --profile {profile}"
	useConfigure = "Tell the command line who you are, with access keys of your account:\n  aws configure\n" +
		"or with single sign-on (it needs version 2 of the AWS command line, https://aws.amazon.com/cli):\n  aws configure sso\nIf you have a profile, name it: make deploy PROFILE=name"
	askSupport = "AWS checks new accounts. Usually it is over within a day, and a mail says so. If not, open a support case " +
		"(free, \"Account and billing\") with the words above: https://console.aws.amazon.com/support"
	again = "Wait a minute and run this again; what is done stays done."
)

// ignoringCase makes a pattern that ignores case.
func ignoringCase(s string) *regexp.Regexp { return regexp.MustCompile("(?is)" + s) }

// meanings are tried in this order: the more exact ones come first.
var meanings = []meaning{
	// Who is asking.
	{ignoringCase(`unable to locate credentials|NoCredentialsError|NoAuthTokenError`),
		"there are no AWS credentials on this machine", useConfigure},
	{ignoringCase(`config profile \(([^)]*)\) could not be found`),
		"there is no AWS profile with the name $1", "These are there:\n  aws configure list-profiles\nGive one of them as PROFILE=name, or make it:\n  aws configure --profile $1"},
	{ignoringCase(`partial credentials found|could not be found: .*aws_secret_access_key`),
		"the AWS credentials on this machine are not complete", useConfigure},
	{ignoringCase(`signature expired|RequestTimeTooSkewed|signature not yet current|RequestExpired`),
		"AWS takes this request for an old one: this machine's clock is wrong", "Set the clock, for example with: sudo timedatectl set-ntp true\nThen run this again."},
	{ignoringCase(`ExpiredToken|token.{0,40}(has )?expired|session.{0,80}expired|session token not found or invalid|error loading sso token|pending_authorization_expired`),
		"your AWS credentials have expired", newKeys},
	{ignoringCase(`InvalidClientTokenId|UnrecognizedClientException|AuthFailure|InvalidAccessKeyId`),
		"AWS does not know these credentials in region {region}", "Either the keys were deleted or mistyped:\n  aws configure --profile {profile}\nor the region is not enabled for the account: AWS console, Account, AWS Regions, enable {region}; or take another, such as REGION=us-east-1."},
	{ignoringCase(`\(ForbiddenException\).*GetRoleCredentials|GetRoleCredentials.*(No access|ForbiddenException)`),
		"single sign-on does not give you the role that the profile names", "Ask whoever runs single sign-on for the role, or choose one that you have:\n  aws configure sso --profile {profile}"},
	{ignoringCase(`SignatureDoesNotMatch`),
		"AWS does not accept the secret access key", "Copy it again, without spaces:\n  aws configure --profile {profile}"},
	{ignoringCase(`OptInRequired|SubscriptionRequiredException|needs? a subscription`),
		"the AWS account is not fully set up for this service", "Complete the sign-up (payment method, phone number) in the AWS console, wait for AWS's mail, and run this again."},

	// What an account may have.
	{ignoringCase(`account must be verified before|account is currently blocked`),
		"AWS has not verified the account yet, and refuses this until it has", askSupport},
	{ignoringCase(`PendingVerification|region is being validated|currently being validated`),
		"AWS checks the account for region {region}, and makes no machine there until it has", "That takes minutes, at most four hours, and a mail says when it is over; then run this again. Another region (REGION=name) is checked, too. If it stays so, write to aws-verification@amazon.com."},
	{ignoringCase(`not eligible for Free Tier`),
		"the account is on AWS's free plan, which does not have this kind of machine", "Take one that it has: make deploy INSTANCE=t4g.micro. Or upgrade the account: " + Upgrade},
	{ignoringCase(`VcpuLimitExceeded|requested more vCPU capacity|L-1216C47A`),
		"the account may not run another instance of this size in {region} (quota of vCPUs)", Quota("ec2", "L-1216C47A", "N", "vCPUs (Running On-Demand Standard instances)")},
	{ignoringCase(`VpcLimitExceeded|maximum number of VPCs`),
		"the account has all the networks (VPCs) in {region} that it may have", Quota("vpc", "L-F678F1CE", "N", "VPCs per Region")},
	{ignoringCase(`InternetGatewayLimitExceeded|maximum number of internet gateways`),
		"the account has all the internet gateways in {region} that it may have", Quota("vpc", "L-A4707A72", "N", "Internet gateways per Region")},
	{ignoringCase(`AddressLimitExceeded|maximum number of addresses`),
		"the account has all the Elastic IP addresses in {region} that it may have", Quota("ec2", "L-0263D0A3", "N", "Elastic IPs")},
	{ignoringCase(`TooManyDistributions\b|number of distributions`),
		"the account has all the CloudFront distributions that it may have", Quota("cloudfront", "L-24B04930", "N", "distributions")},
	{ignoringCase(`VpcOrigin.*(limit|quota)|(limit|quota).*VPC origins?`),
		"the account has all the CloudFront VPC origins that it may have (25)", "Delete one that is not needed (CloudFront console, VPC origins), or ask for more in Service Quotas, CloudFront."},
	{ignoringCase(`RulesPerSecurityGroupLimitExceeded|maximum number of rules per security group`),
		"CloudFront's list of addresses does not fit the account's quota of rules for a security group", Quota("vpc", "L-0EA8095F", "N", "rules for a security group")},
	{ignoringCase(`throttl|rate exceeded|TooManyRequests|RequestLimitExceeded`),
		"AWS asks us to be slower", again},
	{ignoringCase(`LimitExceeded|ServiceQuotaExceeded|quota (has been )?exceeded|TooMany[A-Z][a-z]+s`),
		"a quota of the account is used up", "AWS's words above say which. Ask for more in the console: Service Quotas. Or delete what is not needed, or take another region."},
	{ignoringCase(`InsufficientInstanceCapacity|insufficient capacity|do not have sufficient .{0,40}capacity`),
		"AWS has no free machine of this kind there at the moment", "Wait some minutes and run this again, or take another kind (INSTANCE=t4g.micro) or another region. AWS's words above may name zones that have some."},
	{ignoringCase(`not supported in your requested Availability Zone|InvalidInstanceType|Unsupported\b.*instance type`),
		"this kind of machine does not exist in that part of {region}", "Take another, such as INSTANCE=t4g.small, or another region."},

	// Whether a machine gets ready.
	{ignoringCase(`WaitCondition received failed message: '(.*?)' for uniqueId`),
		"the machine was made, and Culvert could not be installed on it: $1", "If that names nothing to do, have it try again; what is done stays done:\n  make deploy"},
	{ignoringCase(`did not stabili[sz]e|NotStabilized|Received \d+ SUCCESS signal|WaitCondition (timed out|received failed)|Association.{0,80}(failed|timed out)`),
		"the machine was made, and Culvert was not installed on it in time", "See what the machine says:\n  make status\nThen have it try again; what is done stays done:\n  make deploy"},

	// What a region has.
	{ignoringCase(`InvalidParameterValue.*RegionName|Invalid region|is not a valid region|invalid endpoint`),
		"there is no region {region}", "These are there:\n  aws ec2 describe-regions --query 'Regions[].RegionName' --output text"},
	{ignoringCase(`[Rr]ules? assertion.{0,40}failed|assertion failed`),
		"the template refuses these settings", "AWS's words above say why, and what to take instead."},
	{ignoringCase(`Parameter.{0,60}(must be|must have|failed to satisfy)`),
		"the template does not take one of these settings", "AWS's words above say which, and what it may be."},
	{ignoringCase(`Unrecognized resource types: \[([^\]]*)\]|resource type(.{0,60}) is not supported|Unable to retrieve .* schema`),
		"region {region} does not have all that Culvert needs ($1)", "Take another region, such as REGION=eu-central-1 or REGION=us-east-1."},

	// What is in the way.
	{ignoringCase(`CannotUpdateEntityWhileInUse|VPC ?origin.{0,200}(in use|associated with)`),
		"CloudFront cannot change its way into the network while it is in use", "Deploy with the settings of before; to get a new instance, let another take its place: make deploy SET=SoloInstance=b (or a, if it is b)."},
	{ignoringCase(`already exists`),
		"something of that name is there already, perhaps left by another stack", "Take another name (STACK=other), or delete it: make destroy STACK={stack} removes what a stack left."},
	{ignoringCase(`BucketNotEmpty`),
		"the bucket of uploads is not empty", "Run make destroy again."},
	{ignoringCase(`has dependencies and cannot be deleted|DependencyViolation|has a dependent object|resource .* in use`),
		"AWS still uses a part of the network: it needs up to 20 minutes to let go of the functions' and CloudFront's interfaces", "Wait, and run the same command again; it goes on where it stopped."},

	// What is allowed.
	{ignoringCase(`budgets:(View|Modify|Create)|Budgets?,? .{0,40}(AccessDenied|Status Code: 400)|is a linked account`),
		"the account may not have a budget, or your credentials may not make it", "Deploy without: make deploy BUDGET=0\n" + AllowBudget},
	{ignoringCase(`not have permissions to call CreateNetworkInterface|cannot be assumed by Lambda|Invalid IAM Instance Profile`),
		"AWS has not yet made a new role known everywhere", again + " If it stays so, an organisation's rule forbids what the role allows."},
	{ignoringCase(`not authorized to perform:? ([a-z0-9-]+:[A-Za-z*]+).*explicit deny in (a|an) ([a-z-]+(?: [a-z-]+)*)`),
		"your credentials may not do $1: a $3 forbids it", "Some organisations allow only some regions: ask which, and take one (REGION=name). Else the account's administrator has to change it, or use an account of your own."},
	{ignoringCase(`not authorized to perform:? ([a-z0-9-]+:[A-Za-z*]+)`),
		"your credentials lack the permission $1", "Use an administrator's profile (PROFILE=name), or let one give you the permission $1; the simplest for a first deployment is the policy AdministratorAccess, in an account that holds nothing else."},
	{ignoringCase(`UnauthorizedOperation|AccessDenied|Access Denied|\(403\)`),
		"your credentials lack a permission for this", "Use an administrator's profile (PROFILE=name), or the policy AdministratorAccess, in an account that holds nothing else."},

	// Whether AWS is reached.
	{ignoringCase(`could not connect to the endpoint URL: "?https?://([^/"]*)|EndpointConnectionError|failed to resolve|name or service not known|connect timeout|ConnectTimeoutError|network is unreachable`),
		"AWS cannot be reached", "Is this machine online? Is {region} the region that you meant? Behind a proxy set HTTPS_PROXY. Then run this again; what is done stays done."},
	{ignoringCase(`CERTIFICATE_VERIFY_FAILED|SSL validation failed`),
		"somebody between this machine and AWS shows a certificate that is not AWS's", "Use another network. If your organisation inspects TLS, give its certificates in AWS_CA_BUNDLE=file."},
	{ignoringCase(`read timeout|connection was closed|connection reset|ServiceUnavailable|InternalFailure|InternalError\b|\(50[0234]\)`),
		"AWS did not answer properly", again},

	// This machine.
	{ignoringCase(`executable file not found`),
		"a program is missing on this machine", "Run make deploy: it says which, and offers to install the command lines."},
	{ignoringCase(`no space left on device`),
		"this machine's disk is full", "Make room and run this again."},
}

// Upgrade is where an account leaves AWS's free plan.
const Upgrade = "https://console.aws.amazon.com/billing, Free Tier, Upgrade plan."

// AllowBudget says how an account whose bills nobody may see gets a budget.
const AllowBudget = "To have one, the account's owner signs in (as root), Account, \"IAM user and role access to Billing information\", " +
	"activates that; it may take a day. In an organisation its main account has to make a budget first."
