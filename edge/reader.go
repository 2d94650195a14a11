package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/lambda"
)

// MessageHandler is Message for lambda.Start, which reads events by itself: for
// a full message encoding/json takes ten times as long as all the rest.
func (g *Gate) MessageHandler() lambda.Handler { return messageHandler{g} }

type messageHandler struct{ *Gate }

// Invoke implements lambda.Handler.
func (h messageHandler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	e, body, err := readEvent(payload)
	if err != nil {
		return nil, errEvent
	}
	r, err := h.message(ctx, e, body)
	if err != nil {
		return nil, err
	}
	return json.Marshal(r)
}

// errEvent means that what came is no event. That of encoding/json may hold
// some of it.
var errEvent = errors.New("not an event of API Gateway")

var (
	bodyBegins  = []byte(`"body":"`)
	placeholder = []byte("the body is read apart")
)

// readEvent is json.Unmarshal, but takes a body without escapes, as ours are,
// out before; control characters in it pass, which the message's parser refuses.
// It returns the body apart, which may alias payload; e.Body is of no use. A
// quote within a JSON text has a backslash, so what looks like the key is one;
// that it is the event's, the placeholder shows.
func readEvent(payload []byte) (e request, body []byte, err error) {
	before, rest, _ := bytes.Cut(payload, bodyBegins)
	body, after, found := bytes.Cut(rest, []byte(`"`))
	if found && bytes.IndexByte(body, '\\') < 0 && utf8.Valid(body) {
		short := bytes.Join([][]byte{before, bodyBegins, placeholder, []byte(`"`), after}, nil)
		if err = json.Unmarshal(short, &e); err == nil && e.Body == string(placeholder) {
			return e, body, nil
		}
	}
	e = request{}
	err = json.Unmarshal(payload, &e)
	return e, []byte(e.Body), err
}
