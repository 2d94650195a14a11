// Command connect is the Lambda function of the route $connect: it admits clients.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"culvert/functions/settings"
)

func main() {
	lambda.Start(settings.Gate().Connect)
}
