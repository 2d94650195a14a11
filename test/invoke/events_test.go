package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"culvert/edge"
	"culvert/internal/wire"
)

const dir = "../../infra/events"

// origin answers as an origin's gateway door does.
type origin struct {
	checker *wire.Checker
	mu      sync.Mutex // guards the following
	known   map[string]bool
	taken   map[string]string // the connection that a token has opened
}

func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h, err := o.checker.Check(body, time.Now())
	if err != nil {
		return // the site
	}
	w.WriteHeader(o.take(h))
}

func (o *origin) take(h wire.Handed) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	up, err := wire.ParseUp(h.Text)
	switch {
	case h.Event == wire.Disconnect:
		delete(o.known, h.Conn)
	case err == nil && up.Token != "":
		if conn := o.taken[up.Token]; conn != "" && conn != h.Conn {
			return http.StatusGone
		}
		o.known[h.Conn], o.taken[up.Token] = true, h.Conn
	case !o.known[h.Conn]:
		return http.StatusGone
	}
	return http.StatusNoContent
}

type bench struct {
	events   *filler
	log      bytes.Buffer
	handlers map[function]lambda.Handler
}

func newBench(t *testing.T) *bench {
	t.Helper()
	_, keys := newGate()
	server := httptest.NewServer(&origin{checker: wire.NewChecker(keys), known: map[string]bool{}, taken: map[string]string{}})
	t.Cleanup(server.Close)
	at, _ := url.Parse(server.URL)
	b := &bench{}
	gate, err := edge.New(edge.Config{Keys: keys, Origin: at, API: api, Stage: stage, Log: slog.New(slog.NewTextHandler(&b.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	b.handlers = map[function]lambda.Handler{
		"Connect":    lambda.NewHandler(gate.Connect),
		"Message":    gate.MessageHandler(),
		"Disconnect": lambda.NewHandler(gate.Disconnect),
	}
	b.events = newFiller(keys, [32]byte{}, netip.MustParseAddrPort(at.Host))
	return b
}

// Every function answers every recorded event as the file "answers" says, and
// logs nothing of it.
func TestFunctionsAnswerEveryEventAndLogNothingOfIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	all, err := readAnswers(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		for _, f := range functions {
			b.run(t, r, f)
		}
	}
}

func (b *bench) run(t *testing.T, r recorded, f function) {
	event, err := b.events.fill(r.path)
	if err != nil {
		t.Fatal(err)
	}
	b.log.Reset()
	reply, failed := b.handlers[f].Invoke(t.Context(), event)
	if failed != nil { // Lambda's reply, which aws-lambda-go logs
		reply = fmt.Appendf(nil, `{"errorMessage":%q}`, failed)
		b.log.Write(reply)
	}
	want := r.from(f)
	if err := errors.Join(check(want, reply), checkLog(want, b.log.Bytes()), leaks(event, b.log.Bytes())); err != nil {
		t.Errorf("%s of %s: %v", f, filepath.Base(r.path), err)
	}
	if b.log.Len() > 200 {
		t.Errorf("%s of %s: got %d bytes of log, want one short line", f, filepath.Base(r.path), b.log.Len())
	}
}

func TestEveryEventHasAnAnswer(t *testing.T) {
	t.Parallel()
	all, err := readAnswers(dir)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) != len(all) {
		t.Errorf("got %d events (%v) and %d answers, want as many", len(files), err, len(all))
	}
	for _, r := range all {
		if _, err := os.Stat(r.path); err != nil || r.of() == "" {
			t.Errorf("got no event %s of a function", r.path)
		}
	}
}

func TestALeakIsSeen(t *testing.T) {
	t.Parallel()
	event := []byte(`{"requestContext":{"identity":{"sourceIp":"203.0.113.94"}},"list":["secret-in-a-list"]}`)
	for _, log := range []string{"refused 203.0.113.94", "got secret-in-a-list"} {
		if leaks(event, []byte(log)) == nil {
			t.Errorf("got no leak in %q, want one", log)
		}
	}
	if err := leaks(event, []byte("refused")); err != nil {
		t.Errorf("got %v, want no leak", err)
	}
}
