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

// weight is what makes a request's head too large for an origin, which refuses it before it looks at it, only because of
// one header: if that is dropped on the way, the website answers as it does otherwise.
type weight struct {
	around int // lines that are there in any case
	line   int // length of each, and of the header's
}

// An origin refuses heads of more than 20 kB, and lines of more than 8 kB. Whatever stands before it may refuse either by
// itself, as nginx does such lines and HAProxy heads of more than 15 kB; few refuse both.
var wholeHead, oneLine = weight{around: 2, line: 7300}, weight{line: 8400}

// Without these HAProxy refuses an upgrade by itself. The key is that of RFC 6455.
const aKey, aVersion = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"

// weighLimit bounds each request by which headers are weighed.
const weighLimit = 5 * time.Second

// weigh finds out what a website that answers in an origin's place does not see. Where
// nothing is sure the answer is NotLetIn.
func (p *subject) weigh(ctx context.Context) Cause {
	cause := p.weighBy(ctx, wholeHead)
	if cause != NotLetIn {
		return cause
	}
	// A website may take long lines and be the origin's: a CDN's own for whoever it does not let in, for example.
	if cause = p.weighBy(ctx, oneLine); cause == NoWebSocket {
		return NotLetIn
	}
	return cause
}

func (p *subject) weighBy(ctx context.Context, w weight) Cause {
	light := p.ask(ctx, w)
	switch heavy := p.ask(ctx, w, w.header("X-Filler")); {
	case light < 200 || light >= 500 || isTooLarge(light) || heavy == 0:
		return NotLetIn
	case heavy == light:
		return NoWebSocket
	case !isTooLarge(heavy):
		return NotLetIn
	case p.ask(ctx, w, "Upgrade: websocket, "+w.filler(), "Connection: Upgrade", aKey, aVersion) == light:
		return NoUpgrade
	case p.ask(ctx, w, w.header("Cookie")) == light:
		return NoCookies
	}
	return NotLetIn
}

// isTooLarge reports whether status says that a request's head is too large. 494 is nginx's.
func isTooLarge(status int) bool {
	return status == http.StatusRequestHeaderFieldsTooLarge || status == http.StatusBadRequest || status == 494
}

func (w weight) filler() string { return strings.Repeat("x", w.line) }

func (w weight) header(name string) string { return name + ": f=" + w.filler() }

// ask is the status of the front's answer to a visit with the lines of w and some more; 0: there was none.
func (p *subject) ask(ctx context.Context, w weight, more ...string) int {
	ctx, cancel := context.WithTimeout(ctx, weighLimit)
	defer cancel()
	for i := range w.around {
		more = append(more, w.header(fmt.Sprint("X-Filler-", i+1)))
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
