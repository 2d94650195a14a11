package serve

import (
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// What a stranger may take, in time and memory. None concerns a WebSocket:
// net/http lifts its deadlines when a connection is handed over.
const (
	headerPatience = 10 * time.Second  // for the TLS handshake, and for a request's head: slow-loris ends here
	bodyPatience   = 30 * time.Second  // for all of a request
	answerPatience = 60 * time.Second  // for all of a plain answer
	idlePatience   = 120 * time.Second // between two requests
	maxHead        = 16 << 10          // net/http adds 4 KiB of slack
)

// DefaultStrangers is how many connections may wait that have not become
// WebSockets. At about 30 kB each with TLS they take 120 MB.
const DefaultStrangers = 4096

// newServer serves HTTP/1.1 and closes the connections above strangers at once.
func newServer(h http.Handler, strangers int, to *slog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:                      h,
		Protocols:                    protocols,
		ReadHeaderTimeout:            headerPatience,
		ReadTimeout:                  bodyPatience,
		WriteTimeout:                 answerPatience,
		IdleTimeout:                  idlePatience,
		MaxHeaderBytes:               maxHead,
		DisableGeneralOptionsHandler: true, // OPTIONS * sees what all others see
		ErrorLog:                     log.New(panics{to}, "", 0),
		ConnState:                    bound(strangers),
	}
}

// bound counts connections until they end or are handed over. It closes what
// it may not keep instead of wrapping the listener, whose connections must stay
// what they are: half-closing and waiting without a buffer depend on it.
func bound(most int) func(net.Conn, http.ConnState) {
	var open atomic.Int64
	return func(c net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			if open.Add(1) > int64(most) {
				c.Close()
			}
		case http.StateClosed, http.StateHijacked:
			open.Add(-1)
		}
	}
}

// panics is net/http's error log. Its lines begin with the peer's address and
// tell of broken handshakes; only a panic is worth a line, without the address.
type panics struct{ log *slog.Logger }

func (p panics) Write(b []byte) (int, error) {
	_, after, ok := strings.Cut(string(b), "panic serving ")
	if !ok {
		return len(b), nil
	}
	_, what, _ := strings.Cut(after, ": ") // an address holds no space
	p.log.Error("handler panicked", "what", strings.TrimSpace(what))
	return len(b), nil
}
