package infra

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// retentions are how long a log may be kept, in days.
var retentions = []any{"1", "3", "5", "7"}

// longLogs: functions write to logs of ours, and the API writes none.
func longLogs(s *stack) (problems []string) {
	for _, r := range s.Of("AWS::Logs::LogGroup") {
		if !slices.Contains(retentions, r.Properties["RetentionInDays"]) {
			problems = append(problems, fmt.Sprintf("%s is kept %v days", r, r.Properties["RetentionInDays"]))
		}
	}
	for _, r := range s.Of("AWS::Serverless::Function") {
		if log := at(r.Properties, "LoggingConfig", "LogGroup"); log != fmt.Sprintf("<%s.%sLog>", r.Stack.Name, strings.TrimSuffix(r.Name, "Function")) {
			problems = append(problems, fmt.Sprintf("%s logs to %v, which is kept for ever", r, log))
		}
	}
	for _, r := range s.Of("AWS::ApiGatewayV2::Stage") {
		settings := []any{r.Properties["DefaultRouteSettings"]}
		for _, route := range object(r.Properties["RouteSettings"]) {
			settings = append(settings, route)
		}
		for _, set := range settings {
			if at(set, "DataTraceEnabled") != false || at(set, "LoggingLevel") != "OFF" {
				problems = append(problems, fmt.Sprint(r, " logs messages"))
			}
		}
		if r.Properties["AccessLogSettings"] != nil {
			problems = append(problems, fmt.Sprint(r, " logs addresses"))
		}
	}
	return problems
}

// openDistributions: each behaviour asks the gate, keeps nothing and takes no
// bodies, and nobody's address is logged.
func openDistributions(s *stack) (problems []string) {
	for _, r := range s.Of("AWS::CloudFront::Distribution") {
		config := object(r.Properties["DistributionConfig"])
		if config["Logging"] != nil {
			problems = append(problems, fmt.Sprint(r, " logs addresses"))
		}
		for _, b := range append(list(config["CacheBehaviors"]), config["DefaultCacheBehavior"]) {
			if wrong := openBehaviour(object(b)); wrong != "" {
				problems = append(problems, fmt.Sprintf("%s, %v %s", r, at(b, "PathPattern"), wrong))
			}
		}
	}
	return problems
}

// Managed policies, by id.
const (
	cachingDisabled           = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
	allViewerExceptHostHeader = "b689b0a8-53d0-40ab-baf2-68738e2966ac"
)

func openBehaviour(b map[string]any) string {
	gates := list(b["FunctionAssociations"])
	switch {
	case len(gates) != 1 || at(gates[0], "EventType") != "viewer-request" || text(at(gates[0], "FunctionARN")) == "":
		return "asks no gate"
	case b["CachePolicyId"] != cachingDisabled:
		return "keeps answers"
	case b["OriginRequestPolicyId"] != allViewerExceptHostHeader:
		return "drops cookies, or keeps the host's name"
	case len(list(b["AllowedMethods"])) != 2:
		return "takes bodies"
	case b["ViewerProtocolPolicy"] != "redirect-to-https":
		return "answers in the clear"
	case b["Compress"] == true:
		return "compresses"
	}
	return ""
}

func TestLongLogsAndOpenDistributionsAreSeen(t *testing.T) {
	t.Parallel()
	behaviour := func(key string, v any) map[string]any {
		b := map[string]any{
			"FunctionAssociations": []any{map[string]any{"EventType": "viewer-request", "FunctionARN": "arn"}},
			"CachePolicyId":        cachingDisabled, "OriginRequestPolicyId": allViewerExceptHostHeader,
			"AllowedMethods": []any{"GET", "HEAD"}, "ViewerProtocolPolicy": "redirect-to-https",
		}
		b[key] = v
		return b
	}
	distribution := func(config map[string]any) resource {
		return resource{Kind: "AWS::CloudFront::Distribution", Properties: map[string]any{"DistributionConfig": config}}
	}
	bad := []resource{
		{Kind: "AWS::Logs::LogGroup"},
		{Kind: "AWS::Logs::LogGroup", Properties: map[string]any{"RetentionInDays": "30"}},
		{Kind: "AWS::Serverless::Function", Name: "ConnectFunction"},
		{Kind: "AWS::ApiGatewayV2::Stage", Properties: map[string]any{"DefaultRouteSettings": map[string]any{"DataTraceEnabled": true, "LoggingLevel": "OFF"}}},
		{Kind: "AWS::ApiGatewayV2::Stage"},
		distribution(map[string]any{"Logging": map[string]any{}, "DefaultCacheBehavior": behaviour("", nil)}),
		distribution(map[string]any{"DefaultCacheBehavior": behaviour("", nil), "CacheBehaviors": []any{behaviour("FunctionAssociations", nil)}}),
	}
	for key, v := range map[string]any{"CachePolicyId": "x", "OriginRequestPolicyId": "x", "AllowedMethods": []any{"GET", "HEAD", "POST"}, "ViewerProtocolPolicy": "allow-all", "Compress": true} {
		bad = append(bad, distribution(map[string]any{"DefaultCacheBehavior": behaviour(key, v)}))
	}
	for _, r := range bad {
		r.Stack = &stack{}
		s := &stack{Resources: []resource{r}}
		if problems := append(longLogs(s), openDistributions(s)...); len(problems) != 1 {
			t.Errorf("%v: got %q, want one problem", r.Properties, problems)
		}
	}
}

func TestDistributionsAreAsManyAsChosenWithoutThoseWithdrawn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		distributions, withdrawn string
		want                     []string
	}{
		{"1", "", []string{"1"}},
		{"3", "", []string{"1", "2", "3"}},
		{"8", "", []string{"1", "2", "3", "4", "5", "6", "7", "8"}},
		{"4", "2", []string{"1", "3", "4"}},
		{"4", "13", []string{"2", "4"}},
		{"4", "31", []string{"2", "4"}},
		{"2", "8", []string{"1", "2"}},
	} {
		s := mustRender(t, home, map[string]string{"Distributions": c.distributions, "Withdrawn": c.withdrawn})
		want := []string{}
		for _, n := range c.want {
			want = append(want, fmt.Sprintf("<culvert-Front-Distribution%s.Distribution.DomainName>", n))
		}
		if got := s.Outputs["Fronts"]; got != strings.Join(want, " ") {
			t.Errorf("%s without %q: got %v, want %v", c.distributions, c.withdrawn, got, want)
		}
	}
}

// The API is called by its own name, at the stage that is the behaviour's path.
func TestDistributionsLeadToBothDoors(t *testing.T) {
	t.Parallel()
	for topology, name := range map[string]string{"solo": "<culvert-SoloA.Instance.PrivateDnsName>", "fleet": "<culvert-Fleet.Balancer.DNSName>"} {
		s := mustRender(t, home, map[string]string{"Topology": topology})
		config := object(only(t, s, "AWS::CloudFront::Distribution").Properties["DistributionConfig"])
		origins := list(config["Origins"])
		if got := at(origins[0], "DomainName"); got != name {
			t.Errorf("%s: the stream door is %v, want %s", topology, got, name)
		}
		if got, want := at(origins[1], "DomainName"), "<culvert.Api>.execute-api.us-east-1.amazonaws.com"; got != want {
			t.Errorf("%s: the gateway door is %v, want %s", topology, got, want)
		}
		gateway := list(config["CacheBehaviors"])[0]
		stage := only(t, s, "AWS::ApiGatewayV2::Stage").Properties["StageName"]
		if at(gateway, "PathPattern") != "/"+text(stage) || at(gateway, "TargetOriginId") != at(origins[1], "Id") {
			t.Errorf("%s: the stage is %v, the behaviour %v", topology, stage, gateway)
		}
	}
}

func TestRoutesLeadEachToItsFunctionAndNobodyElseCallsIt(t *testing.T) {
	t.Parallel()
	s := mustRender(t, home, nil)
	if got := only(t, s, "AWS::ApiGatewayV2::Api").Properties["RouteSelectionExpression"]; got != `\$default` {
		t.Errorf("routes are selected by %v, want one for all messages", got)
	}
	for route, function := range map[string]string{"$connect": "Connect", "$default": "Message", "$disconnect": "Disconnect"} {
		arn := fmt.Sprintf("<culvert.%sFunction.Arn>", function)
		way := map[string]func(resource) bool{
			"AWS::ApiGatewayV2::Route": func(r resource) bool {
				return r.Properties["RouteKey"] == route && r.Properties["Target"] == fmt.Sprintf("integrations/<culvert-Gateway.%sIntegration>", function)
			},
			"AWS::ApiGatewayV2::Integration": func(r resource) bool {
				return r.Name == function+"Integration" && strings.Contains(text(r.Properties["IntegrationUri"]), "functions/"+arn+"/")
			},
			"AWS::Lambda::Permission": func(r resource) bool {
				return r.Properties["FunctionName"] == arn && strings.HasSuffix(text(r.Properties["SourceArn"]), ":<culvert.Api>/v1/"+route)
			},
		}
		for kind, leads := range way {
			if !slices.ContainsFunc(s.Of(kind), leads) {
				t.Errorf("%s: no %s leads to %s", route, kind, arn)
			}
		}
	}
}

func TestFunctionsKnowTheirOriginAndApi(t *testing.T) {
	t.Parallel()
	for topology, origin := range map[string]string{"solo": "http://<culvert-SoloB.Instance.PrivateIp>:8080", "fleet": "http://<culvert-Fleet.Balancer.DNSName>:8080"} {
		s := mustRender(t, home, map[string]string{"Topology": topology, "SoloInstance": "b"})
		for _, r := range s.Of("AWS::Serverless::Function") {
			variables := object(at(r.Properties, "Environment", "Variables"))
			if variables["CULVERT_ORIGIN"] != origin || variables["CULVERT_API"] != "<culvert.Api>" || variables["CULVERT_STAGE"] != "v1" {
				t.Errorf("%s: %s has %v", topology, r, variables)
			}
			if at(r.Properties, "VpcConfig", "SubnetIds") == nil || at(r.Properties, "VpcConfig", "SecurityGroupIds") == nil {
				t.Errorf("%s: %s is in no network", topology, r)
			}
		}
	}
}
