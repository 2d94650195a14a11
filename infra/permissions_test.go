package infra

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// anyResource lists the actions that may name no resource, and why.
var anyResource = map[string]string{
	"ec2:CreateNetworkInterface":          "Lambda makes interfaces before it knows their names",
	"ec2:DeleteNetworkInterface":          "as above",
	"ec2:DescribeNetworkInterfaces":       "descriptions know no resources",
	"ec2:DescribeSubnets":                 "descriptions know no resources",
	"ec2:AssignPrivateIpAddresses":        "as the first",
	"ec2:UnassignPrivateIpAddresses":      "as the first",
	"ssm:UpdateInstanceInformation":       "the SSM agent's, about its own instance",
	"ssm:ListAssociations":                "the SSM agent's",
	"ssm:ListInstanceAssociations":        "the SSM agent's",
	"ssm:DescribeAssociation":             "the SSM agent's",
	"ssm:UpdateAssociationStatus":         "the SSM agent's",
	"ssm:UpdateInstanceAssociationStatus": "the SSM agent's",
	"ssm:DescribeDocument":                "the SSM agent's; AWS's documents are no secret",
	"ssm:GetDocument":                     "the SSM agent's; AWS's documents are no secret",
	"ssmmessages:CreateControlChannel":    "knows no resources",
	"ssmmessages:CreateDataChannel":       "knows no resources",
	"ssmmessages:OpenControlChannel":      "knows no resources",
	"ssmmessages:OpenDataChannel":         "knows no resources",
	"ec2messages:AcknowledgeMessage":      "knows no resources",
	"ec2messages:DeleteMessage":           "knows no resources",
	"ec2messages:FailMessage":             "knows no resources",
	"ec2messages:GetEndpoint":             "knows no resources",
	"ec2messages:GetMessages":             "knows no resources",
	"ec2messages:SendReply":               "knows no resources",
}

// wildcards lists how else a resource may end, or be spelt, with a star, and why.
var wildcards = map[string]string{
	":layer:culvert-origin:*":                                  "each version of our layer",
	"/v1/POST/@connections/*":                                  "each connection of our API",
	"/v1/DELETE/@connections/*":                                "each connection of our API",
	":log-group:/culvert/culvert/connect:*":                    "each stream of a function's own log",
	":log-group:/culvert/culvert/message:*":                    "each stream of a function's own log",
	":log-group:/culvert/culvert/disconnect:*":                 "each stream of a function's own log",
	":autoScalingGroup:*:autoScalingGroupName/culvert-origins": "AWS puts an id before a group's name",
}

// statements are those of all policies of a resource; trust says who may be a role.
func statements(r resource) (policies, trust []map[string]any) {
	documents := []any{r.Properties["PolicyDocument"]}
	for _, p := range list(r.Properties["Policies"]) {
		documents = append(documents, at(p, "PolicyDocument"))
	}
	for _, d := range documents {
		for _, s := range list(at(d, "Statement")) {
			policies = append(policies, object(s))
		}
	}
	for _, s := range list(at(r.Properties["AssumeRolePolicyDocument"], "Statement")) {
		trust = append(trust, object(s))
	}
	return policies, trust
}

// several is v as a list, which a policy may spell as one.
func several(v any) []any {
	if l, ok := v.([]any); ok {
		return l
	}
	return []any{v}
}

// tooWide says what a statement allows beyond what is listed above.
func tooWide(statement map[string]any) string {
	if statement["Effect"] == "Deny" {
		return ""
	}
	if statement["NotAction"] != nil || statement["NotResource"] != nil || statement["Action"] == nil || statement["Resource"] == nil {
		return "says what is not meant"
	}
	for _, action := range several(statement["Action"]) {
		if strings.Contains(text(action), "*") {
			return fmt.Sprint("allows ", action)
		}
		for _, resource := range several(statement["Resource"]) {
			if wrong := wide(text(action), text(resource)); wrong != "" {
				return wrong
			}
		}
	}
	return ""
}

func wide(action, resource string) string {
	if resource == "*" && anyResource[action] != "" || resource != "" && !strings.ContainsAny(resource, "*?") {
		return ""
	}
	for end := range wildcards {
		if strings.HasSuffix(resource, end) && strings.Count(resource, "*") == 1 {
			return ""
		}
	}
	return fmt.Sprintf("allows %s on %q", action, resource)
}

func widePolicies(s *stack) (problems []string) {
	for _, r := range s.All() {
		policies, _ := statements(r)
		for _, statement := range policies {
			if wrong := tooWide(statement); wrong != "" {
				problems = append(problems, fmt.Sprint(r, " ", wrong))
			}
		}
		if r.Properties["ManagedPolicyArns"] != nil {
			problems = append(problems, fmt.Sprint(r, " has policies that others write"))
		}
	}
	return problems
}

func strangeTrust(s *stack) (problems []string) {
	for _, r := range s.All() {
		_, trust := statements(r)
		for _, statement := range trust {
			who := at(statement, "Principal", "Service")
			isMachines := r.Name == "Posts" && at(statement, "Principal", "AWS") == "<culvert-Roles.Origin.Arn>"
			if who != "lambda.amazonaws.com" && who != "ec2.amazonaws.com" && !isMachines {
				problems = append(problems, fmt.Sprintf("%s may be taken by %v", r, statement["Principal"]))
			}
		}
	}
	return problems
}

func TestEachFunctionHasARoleOfItsOwn(t *testing.T) {
	t.Parallel()
	seen := []any{}
	for _, f := range mustRender(t, home, nil).Of("AWS::Serverless::Function") {
		role := f.Properties["Role"]
		if text(role) == "" || slices.Contains(seen, role) {
			t.Errorf("%s has the role %v", f, role)
		}
		seen = append(seen, role)
	}
	if len(seen) != 3 {
		t.Errorf("got %d functions, want 3", len(seen))
	}
}

// The gateway's messages are signed and its origin posts back; nobody else is to. The origin's
// program has nothing but that.
func TestOnlyTheOriginReadsSecretsAndPostsBack(t *testing.T) {
	t.Parallel()
	for _, r := range mustRender(t, home, map[string]string{"Generation": "2"}).Of("AWS::IAM::Role") {
		policies, _ := statements(r)
		for _, statement := range policies {
			for _, action := range several(statement["Action"]) {
				reads, posts := action == "secretsmanager:GetSecretValue", action == "execute-api:ManageConnections"
				if reads && r.Name != "Origin" || posts != (r.Name == "Posts") && (posts || r.Name == "Posts") {
					t.Errorf("%s may %s", r, action)
				}
			}
		}
	}
}

func TestNothingIsListedInVain(t *testing.T) {
	t.Parallel()
	var used strings.Builder
	for _, topology := range []string{"solo", "fleet"} {
		for _, r := range mustRender(t, home, map[string]string{"Topology": topology}).All() {
			places(r.Properties, "", func(_, text string) { fmt.Fprintln(&used, text) })
		}
	}
	for action := range anyResource {
		if !strings.Contains(used.String(), action+"\n") {
			t.Errorf("nobody does %s any more", action)
		}
	}
	for end := range wildcards {
		if !strings.Contains(used.String(), end+"\n") {
			t.Errorf("nobody names %s any more", end)
		}
	}
}

func TestWidePoliciesAreSeen(t *testing.T) {
	t.Parallel()
	for _, statement := range []map[string]any{
		{"Effect": "Allow", "Action": "*", "Resource": "arn"},
		{"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn"},
		{"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*"},
		{"Effect": "Allow", "Action": []any{"ec2:DescribeSubnets", "ssm:GetParameter"}, "Resource": "*"},
		{"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": "arn:aws:ssm:us-east-1:111122223333:parameter/*"},
		{"Effect": "Allow", "Action": "execute-api:ManageConnections", "Resource": "arn:aws:execute-api:*:111122223333:x/v1/POST/@connections/*"},
		{"Effect": "Allow", "NotAction": "iam:PassRole", "Resource": "arn"},
		{"Effect": "Allow", "Action": "ssm:GetParameter", "NotResource": "arn"},
		{"Effect": "Allow", "Action": "ssm:GetParameter"},
	} {
		if tooWide(statement) == "" {
			t.Errorf("got nothing wrong with %v", statement)
		}
	}
}
