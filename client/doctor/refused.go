package doctor

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"culvert/client/front"
)

// byStatus is what a front's answer to an upgrade means at the stream door, where its status
// says enough.
var byStatus = map[int]Cause{
	http.StatusMisdirectedRequest: WrongHost, http.StatusForbidden: WrongHost,
	http.StatusBadRequest: NoUpgrade, http.StatusUpgradeRequired: NoUpgrade, http.StatusMethodNotAllowed: NoUpgrade, http.StatusNotImplemented: NoUpgrade,
}

// whyRefused says why a front answered an upgrade by that status.
func (p *subject) whyRefused(ctx context.Context, status int) Cause {
	switch cause, known := byStatus[status]; {
	case status >= 500 && !known, status == http.StatusTooManyRequests:
		return OriginDown
	case status >= 300 && status < 400:
		return Redirect
	case p.front.Gateway: // a 403 of API Gateway's is what a function said
		return NotLetIn
	case known:
		return cause
	}
	return p.weigh(ctx)
}

// An origin refuses a request whose head is larger than 20 kB, before it looks at it. A
// head that is too large only because of one header shows whether that header gets to
// the origin: if it is dropped on the way, the website answers as it does otherwise. No
// line is longer than the 8 kB that most servers take.
const (
	lineLen   = 7300
	baseLines = 2
)

// weighLimit bounds each request by which headers are weighed.
const weighLimit = 5 * time.Second

// weigh finds out what a website that answers in an origin's place does not see. Where
// nothing is sure the answer is NotLetIn.
func (p *subject) weigh(ctx context.Context) Cause {
	light := p.ask(ctx)
	switch heavy := p.ask(ctx, line("X-Filler")); {
	case light < 200 || light >= 500 || isTooLarge(light) || heavy == 0:
		return NotLetIn
	case heavy == light:
		return NoWebSocket
	case !isTooLarge(heavy):
		return NotLetIn
	case p.ask(ctx, "Upgrade: websocket, "+filler(), "Connection: Upgrade") == light:
		return NoUpgrade
	case p.ask(ctx, line("Cookie")) == light:
		return NoCookies
	}
	return NotLetIn
}

// isTooLarge reports whether status says that a request's head is too large. 494 is nginx's.
func isTooLarge(status int) bool {
	return status == http.StatusRequestHeaderFieldsTooLarge || status == http.StatusBadRequest || status == 494
}

func filler() string { return strings.Repeat("x", lineLen) }

func line(name string) string { return name + ": f=" + filler() }

// ask is the status of the front's answer to a visit with some more headers; 0: there was
// none.
func (p *subject) ask(ctx context.Context, more ...string) int {
	ctx, cancel := context.WithTimeout(ctx, weighLimit)
	defer cancel()
	for i := range baseLines {
		more = append(more, line(fmt.Sprint("X-Filler-", i+1)))
	}
	got, _, err := front.Open(ctx, p.dialer, p.front, func(ctx context.Context, conn *front.Conn) (answer, error) {
		return visit(ctx, conn, p.front.Host, p.front.Path, more)
	})
	if err != nil {
		return 0
	}
	return got.status
}

// answer is what a visit got. Its connection is closed already.
type answer struct{ status int }

// Close does nothing.
func (answer) Close() error { return nil }

// maxAnswerHead bounds the head of an answer.
const maxAnswerHead = 64 << 10

// visit asks for a page as a browser does, and closes conn.
func visit(ctx context.Context, conn *front.Conn, host, path string, more []string) (answer, error) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.NetConn().Close() })()
	if _, err := conn.Write(conn.AppendVisit(nil, host, path, more...)); err != nil {
		return answer{}, front.Failed(front.StepUpgrade, err)
	}
	got, err := http.ReadResponse(bufio.NewReader(io.LimitReader(conn, maxAnswerHead)), nil)
	if err != nil {
		return answer{}, front.Failed(front.StepUpgrade, err)
	}
	return answer{got.StatusCode}, nil
}
