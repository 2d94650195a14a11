// Command disconnect is the Lambda function of the route $disconnect: it tells the origin that a connection ended.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"culvert/functions/settings"
)

func main() {
	lambda.Start(settings.Gate().Disconnect)
}
