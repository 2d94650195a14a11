package emulator

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
)

func TestAMessageReachesItsFunctionAndAPostItsClient(t *testing.T) {
	var r *rig
	echo := NewInProcess(lambda.NewHandler(func(_ context.Context, e events.APIGatewayWebsocketProxyRequest) (events.APIGatewayProxyResponse, error) {
		return events.APIGatewayProxyResponse{StatusCode: 200, Body: "nobody sees this"}, r.post(e.RequestContext.ConnectionID, e.Body)
	}), Settings{})
	bubble(t, Routes{Connect: says(ok), Default: echo}, Options{}, func(t *testing.T, in *rig) {
		defer echo.Close()
		r = in
		c := r.connect()
		for _, want := range []string{"hello", "", `<&>" ünï`, strings.Repeat("x", 32<<10)} {
			r.send(c, want)
			if got := r.receive(c); got != want {
				t.Errorf("got %.40q, want %.40q", got, want)
			}
		}
	})
}
