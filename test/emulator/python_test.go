package emulator

import (
	"context"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
)

// python is an interpreter with the websockets package.
func python(t *testing.T) string {
	t.Helper()
	for _, path := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(path, "-c", "import websockets").Run() == nil {
			return path
		}
	}
	t.Skip("Python's websockets is missing (Debian: python3-websockets)")
	return ""
}

func TestAnotherWebSocketImplementationMeetsTheQuotas(t *testing.T) {
	t.Parallel()
	interpreter := python(t)
	var api *apigatewaymanagementapi.Client
	f := NewInProcess(func(ctx context.Context, e events.APIGatewayWebsocketProxyRequest) (events.APIGatewayProxyResponse, error) {
		in := apigatewaymanagementapi.PostToConnectionInput{ConnectionId: &e.RequestContext.ConnectionID, Data: []byte(e.Body)}
		_, err := api.PostToConnection(ctx, &in)
		return events.APIGatewayProxyResponse{StatusCode: 200}, err
	}, Settings{})
	defer f.Close()
	g := New(Routes{Default: f}, Options{Credentials: owner})
	defer g.Close()
	srv := httptest.NewUnstartedServer(g)
	api = apigatewaymanagementapi.New(apigatewaymanagementapi.Options{
		BaseEndpoint: aws.String("http://" + srv.Listener.Addr().String() + "/v1"), Region: "us-east-1",
		Credentials: credentials.StaticCredentialsProvider{Value: owner},
	})
	srv.Start()
	defer srv.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, interpreter, "testdata/client.py", "ws"+strings.TrimPrefix(srv.URL, "http")+"/v1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := "a full frame True\na full message True\na frame too large 1009\na message too large 1009\nbinary 1003\nbinary in frames 1003\n"
	if string(out) != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
}
