package emulator

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
)

// errReply means that a function answered something that is no proxy response.
var errReply = errors.New("function's reply has no statusCode from 200 to 599")

// reply is what API Gateway reads of a function's answer. Without a route
// response the body goes nowhere [4].
type reply struct {
	StatusCode json.Number         `json:"statusCode"`
	Headers    map[string]string   `json:"headers"`
	Multi      map[string][]string `json:"multiValueHeaders"`
}

// parseReply returns the status and the subprotocol that the function chose.
func parseReply(b []byte) (status int, protocol string, err error) {
	var r reply
	if json.Unmarshal(b, &r) != nil {
		return 0, "", errReply
	}
	code, err := r.StatusCode.Int64()
	if err != nil || code < 200 || code > 599 {
		return 0, "", errReply
	}
	return int(code), r.header("Sec-WebSocket-Protocol"), nil
}

func (r reply) header(want string) string {
	for name, value := range r.Headers {
		if strings.EqualFold(name, want) {
			return value
		}
	}
	for name, values := range r.Multi {
		if strings.EqualFold(name, want) && len(values) > 0 {
			return values[0]
		}
	}
	return ""
}

// failureStatus is what a handshake gets whose function failed: 500 if Lambda
// did not run it, 502 if it ran and failed or answered nonsense [9], 504 if it
// did not answer in time.
func failureStatus(err error) int {
	var failure *FunctionError
	switch {
	case errors.Is(err, errIntegration):
		return http.StatusGatewayTimeout
	case errors.As(err, &failure), errors.Is(err, errReply):
		return http.StatusBadGateway
	}
	return http.StatusInternalServerError
}
