package infra

import (
	"fmt"
	"net/url"
	"slices"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"

	"culvert/edge"
	"culvert/internal/wire"
)

// Lambda takes a function's network away when nobody has called it for two weeks.
func TestFunctionsThatNobodyCallsAreKeptAwake(t *testing.T) {
	t.Parallel()
	s := mustRender(t, home, nil)
	rule := only(t, s, "AWS::Events::Rule")
	if got := rule.Properties["ScheduleExpression"]; got != "rate(1 day)" {
		t.Errorf("calls them at %v, want each day", got)
	}
	called := []any{}
	for _, target := range list(rule.Properties["Targets"]) {
		called = append(called, at(target, "Arn"))
	}
	for _, f := range s.Of("AWS::Serverless::Function") {
		arn := fmt.Sprintf("<%s.Arn>", f)
		if !slices.Contains(called, any(arn)) {
			t.Errorf("nobody calls %s", f)
		}
		if !slices.ContainsFunc(s.Of("AWS::Lambda::Permission"), func(r resource) bool {
			return r.Properties["FunctionName"] == arn && r.Properties["Principal"] == "events.amazonaws.com" &&
				r.Properties["SourceArn"] == fmt.Sprintf("<%s.Arn>", rule)
		}) {
			t.Errorf("the rule may not call %s", f)
		}
	}
}

// A function that fails at such a call would be called again, and ring the alarm.
func TestFunctionsTakeTheCallThatKeepsThemAwake(t *testing.T) {
	t.Parallel()
	gate, err := edge.New(edge.Config{Keys: wire.GateKeys{wire.GateKey{1}}, Origin: &url.URL{Scheme: "http", Host: "10.0.0.10:8080"}, API: "api", Stage: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	handlers := map[any]lambda.Handler{
		"connect": lambda.NewHandler(gate.Connect), "message": gate.MessageHandler(), "disconnect": lambda.NewHandler(gate.Disconnect),
	}
	for _, target := range list(only(t, mustRender(t, home, nil), "AWS::Events::Rule").Properties["Targets"]) {
		handler := handlers[at(target, "Id")]
		if handler == nil {
			t.Fatalf("got a call of %v, which is no function", at(target, "Id"))
		}
		if _, err := handler.Invoke(t.Context(), []byte(text(at(target, "Input")))); err != nil {
			t.Errorf("%v: got %v, want no error", at(target, "Id"), err)
		}
	}
}

// What API Gateway allows an account in the regions where that is least, in
// requests a second and at once. A message's answer is such a request, too.
const (
	leastRate  = 2500
	leastBurst = 1250
)

func TestMessagesLeaveTheAccountsLimitRoomForTheirAnswers(t *testing.T) {
	t.Parallel()
	stage := func(chosen map[string]string) map[string]any {
		return object(only(t, mustRender(t, home, chosen), "AWS::ApiGatewayV2::Stage").Properties["DefaultRouteSettings"])
	}
	usual := stage(nil)
	var rate, burst int
	fmt.Sscan(text(usual["ThrottlingRateLimit"]), &rate)
	fmt.Sscan(text(usual["ThrottlingBurstLimit"]), &burst)
	if rate < 1 || 2*rate > leastRate || burst < 1 || burst > leastBurst {
		t.Errorf("takes %d messages a second and %d at once, want at most %d and %d", rate, burst, leastRate/2, leastBurst)
	}
	if got := stage(map[string]string{"MessageRate": "3000"})["ThrottlingRateLimit"]; got != "3000" {
		t.Errorf("takes %v messages a second, want 3000 as chosen", got)
	}
}
