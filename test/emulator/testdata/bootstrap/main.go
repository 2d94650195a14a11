// Command bootstrap is a function for tests: it does what the message says.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

func main() {
	switch os.Getenv("START") {
	case "fail":
		os.Exit(3)
	case "hang":
		time.Sleep(time.Hour)
	case "slow":
		time.Sleep(100 * time.Millisecond)
	}
	lambda.Start(do)
}

func do(ctx context.Context, e events.APIGatewayWebsocketProxyRequest) (events.APIGatewayProxyResponse, error) {
	word, rest, _ := strings.Cut(e.Body, " ")
	switch word {
	case "echo":
	case "pid":
		rest = fmt.Sprint(os.Getpid())
	case "environment":
		names := os.Environ()
		slices.Sort(names)
		rest = strings.Join(names, "\n")
	case "context":
		c, _ := lambdacontext.FromContext(ctx)
		deadline, _ := ctx.Deadline()
		rest = fmt.Sprint(c.InvokedFunctionArn, " ", len(c.AwsRequestID), " ", time.Until(deadline) > time.Second)
	case "wait":
		d, _ := time.ParseDuration(rest)
		time.Sleep(d)
	case "fail":
		return events.APIGatewayProxyResponse{}, errors.New(rest)
	case "panic":
		panic(rest)
	case "exit":
		os.Exit(7)
	}
	status := 200
	if os.Getenv("START") == "nonsense" {
		status = 0 // the gateway tells the client of it
	}
	return events.APIGatewayProxyResponse{StatusCode: status, Body: rest}, nil
}
