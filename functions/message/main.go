// Command message is the Lambda function of the route $default: it hands messages on to the origin.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"culvert/functions/settings"
)

func main() {
	lambda.Start(settings.Gate().MessageHandler())
}
