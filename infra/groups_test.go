package infra

import (
	"fmt"
	"testing"
)

// A prefix list's weight and a group's quota, in rules.
const (
	prefixListWeight = 55
	groupQuota       = 60
)

// rules are all of a direction, Ingress or Egress, by the group that they belong to.
func rules(s *stack, direction string) map[any][]map[string]any {
	out := map[any][]map[string]any{}
	for _, r := range s.Of("AWS::EC2::SecurityGroup") {
		id := fmt.Sprintf("<%s>", r)
		for _, rule := range list(r.Properties["SecurityGroup"+direction]) {
			out[id] = append(out[id], object(rule))
		}
	}
	for _, r := range s.Of("AWS::EC2::SecurityGroup" + direction) {
		out[r.Properties["GroupId"]] = append(out[r.Properties["GroupId"]], r.Properties)
	}
	return out
}

// openIngress says what is wrong with a rule that lets in: its source must be
// a group or CloudFront's list, its ports the origin's.
func openIngress(rule map[string]any) string {
	from, to := text(rule["FromPort"]), text(rule["ToPort"])
	switch {
	case rule["CidrIp"] != nil || rule["CidrIpv6"] != nil:
		return "is open to addresses"
	case text(rule["SourceSecurityGroupId"]) == "" && text(rule["SourcePrefixListId"]) == "":
		return "is open to everybody"
	case rule["IpProtocol"] != "tcp" || from < "8080" || to > "8099" || len(from+to) != 8:
		return "is open beyond the origin's ports"
	case rule["SourcePrefixListId"] != nil && from != to:
		return "opens more than one port to CloudFront"
	}
	return ""
}

// openEgress: origins reach WhatsApp and AWS, everybody else only origins.
func openEgress(rule map[string]any) string {
	port := text(rule["FromPort"])
	switch {
	case rule["IpProtocol"] != "tcp":
		return "lets out more than TCP"
	case text(rule["DestinationSecurityGroupId"]) != "":
		return ""
	case rule["CidrIp"] == "0.0.0.0/0" && port == rule["ToPort"] && (port == "80" || port == "443" || port == "5222"):
		return ""
	}
	return "lets out more than to WhatsApp and AWS"
}

func openIngresses(s *stack) (problems []string) {
	for group, all := range rules(s, "Ingress") {
		weight := 0
		for _, rule := range all {
			if wrong := openIngress(rule); wrong != "" {
				problems = append(problems, fmt.Sprintf("%v %s: %v", group, wrong, rule))
			}
			if weight++; rule["SourcePrefixListId"] != nil {
				weight += prefixListWeight - 1
			}
		}
		if weight > groupQuota {
			problems = append(problems, fmt.Sprintf("%v has %d rules, more than %d", group, weight, groupQuota))
		}
	}
	return problems
}

func openEgresses(s *stack) (problems []string) {
	for _, group := range s.Of("AWS::EC2::SecurityGroup") {
		if len(list(group.Properties["SecurityGroupEgress"])) == 0 {
			problems = append(problems, fmt.Sprint(group, " has no egress of its own, so AWS lets everything out"))
		}
	}
	for group, all := range rules(s, "Egress") {
		for _, rule := range all {
			if wrong := openEgress(rule); wrong != "" {
				problems = append(problems, fmt.Sprintf("%v %s: %v", group, wrong, rule))
			}
			if rule["CidrIp"] != nil && group != "<culvert-Network.OriginGroup>" {
				problems = append(problems, fmt.Sprint(group, " reaches the internet"))
			}
		}
	}
	return problems
}

func TestOpenGroupsAreSeen(t *testing.T) {
	t.Parallel()
	for _, rule := range []map[string]any{
		{"IpProtocol": "tcp", "FromPort": "8080", "ToPort": "8080", "CidrIp": "0.0.0.0/0"},
		{"IpProtocol": "tcp", "FromPort": "8080", "ToPort": "8080", "CidrIpv6": "::/0", "SourceSecurityGroupId": "sg"},
		{"IpProtocol": "tcp", "FromPort": "8080", "ToPort": "8080"},
		{"IpProtocol": "tcp", "FromPort": "8080", "ToPort": "8080", "SourcePrefixListId": ""},
		{"IpProtocol": "tcp", "FromPort": "22", "ToPort": "22", "SourceSecurityGroupId": "sg"},
		{"IpProtocol": "-1", "SourceSecurityGroupId": "sg"},
		{"IpProtocol": "tcp", "FromPort": "8080", "ToPort": "8081", "SourcePrefixListId": "pl"},
	} {
		if openIngress(rule) == "" {
			t.Errorf("got nothing wrong with %v", rule)
		}
	}
	for _, rule := range []map[string]any{
		{"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"},
		{"IpProtocol": "tcp", "FromPort": "80", "ToPort": "443", "CidrIp": "0.0.0.0/0"},
		{"IpProtocol": "tcp", "FromPort": "25", "ToPort": "25", "CidrIp": "0.0.0.0/0"},
	} {
		if openEgress(rule) == "" {
			t.Errorf("got nothing wrong with %v", rule)
		}
	}
}

// The ways that messages and carriers take must be open.
func TestFunctionsAndOriginsReachOrigins(t *testing.T) {
	t.Parallel()
	s := mustRender(t, home, nil)
	origin, edge := "<culvert-Network.OriginGroup>", "<culvert-Network.EdgeGroup>"
	functions := "<culvert-Network.FunctionsGroup>"
	for _, way := range []struct{ from, to, first, last string }{
		{functions, origin, "8080", "8099"},
		{functions, edge, "8080", "8080"},
		{origin, origin, "8080", "8099"},
		{edge, origin, "8080", "8080"},
	} {
		for _, end := range []struct{ direction, at, key, other string }{
			{"Egress", way.from, "DestinationSecurityGroupId", way.to},
			{"Ingress", way.to, "SourceSecurityGroupId", way.from},
		} {
			found := false
			for _, rule := range rules(s, end.direction)[end.at] {
				found = found || rule[end.key] == end.other && rule["FromPort"] == way.first && rule["ToPort"] == way.last
			}
			if !found {
				t.Errorf("from %s to %s: no %s", way.from, way.to, end.direction)
			}
		}
	}
}
