package hostile

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// far is what stands in for WhatsApp. It counts its connections, and tells how each has ended.
type far struct {
	at     string
	sends  bool // for ever, to each; else it takes what comes
	dialed atomic.Int64
	ends   chan error
}

func newFar(t testing.TB, sends bool) *far {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { ln.Close() })
	f := &far{at: ln.Addr().String(), sends: sends, ends: make(chan error, 1000)}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			f.dialed.Add(1)
			go f.serve(c)
		}
	}()
	return f
}

func (f *far) serve(c net.Conn) {
	defer c.Close()
	if f.sends {
		io.Copy(c, zeros{})
		return
	}
	_, err := io.Copy(io.Discard, c)
	f.ends <- err
}

// transfer is a world with an app that moves bytes one way for ever: who reads and writes at a time
// may be told of a reset by either.
func (f *far) transfer(t *testing.T) (w *world, u *user, app net.Conn) {
	t.Helper()
	w = newWorldWith(t, f.at)
	u = w.user(1)
	u.out.Await(t, "Connected")
	app, err := net.Dial("tcp", u.chat)
	must(t, err)
	t.Cleanup(func() { app.Close() })
	io.WriteString(app, opening)
	app.SetDeadline(time.Now().Add(20 * time.Second))
	if f.sends {
		_, err = io.CopyN(io.Discard, app, 1<<20)
	} else {
		_, err = io.CopyN(app, zeros{}, 8<<20)
	}
	must(t, err)
	return w, u, app
}

// wantReset wants a reset, and no end.
func wantReset(t *testing.T, who string, err error) {
	t.Helper()
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%s: got %v, want %v", who, err, syscall.ECONNRESET)
	}
}

// Row 12: what is cut short is a reset at the app, whoever is killed in a transfer.
func TestAKilledClientLeavesTheAppNoCleanEnd(t *testing.T) {
	for name, end := range map[string]func(u *user){
		"killed":                  func(u *user) { u.Process.Kill() },
		"its terminal goes":       func(u *user) { u.Process.Signal(syscall.SIGHUP) },
		"told to end":             func(u *user) { u.Process.Signal(syscall.SIGTERM) },
		"told to end, and killed": func(u *user) { u.Process.Signal(syscall.SIGTERM); u.Process.Kill() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, u, app := newFar(t, true).transfer(t)
			end(u)
			_, err := io.Copy(io.Discard, app)
			wantReset(t, "the app", err)
		})
	}
}

// Row 12: and at WhatsApp.
func TestAKilledOriginLeavesWhatsAppNoCleanEnd(t *testing.T) {
	for name, end := range map[string]func(w *world, u *user){
		"killed":                      func(w *world, _ *user) { w.origin.Process.Kill() },
		"told to end":                 func(w *world, _ *user) { w.origin.Process.Signal(syscall.SIGTERM) },
		"killed after the client was": func(w *world, u *user) { u.Process.Kill(); <-u.gone; w.origin.Process.Kill() },
		"the client told to end":      func(_ *world, u *user) { u.Process.Signal(syscall.SIGHUP) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFar(t, false)
			w, u, _ := f.transfer(t)
			end(w, u)
			select {
			case err := <-f.ends:
				wantReset(t, "WhatsApp", err)
			case <-time.After(20 * time.Second):
				t.Error("WhatsApp's connection has no end")
			}
		})
	}
}

// Row 13: of apps that gave up while the origin was down none is dialled for.
func TestAppsThatGaveUpAreNotDialledFor(t *testing.T) {
	t.Parallel()
	f := newFar(t, true)
	w := newWorldWith(t, f.at)
	u := w.user(1)
	u.out.Await(t, "Connected")
	w.origin.Process.Kill()
	<-w.origin.gone
	for i := range 60 {
		app, err := net.Dial("tcp", u.chat)
		must(t, err)
		io.WriteString(app, opening+"1234")
		if i%2 == 0 {
			app.(*net.TCPConn).SetLinger(0)
		}
		app.Close()
	}
	time.Sleep(4 * time.Second)
	w.startOrigin()
	honest, err := net.Dial("tcp", u.chat)
	must(t, err)
	defer honest.Close()
	honest.SetDeadline(time.Now().Add(30 * time.Second))
	io.WriteString(honest, opening)
	_, err = io.CopyN(io.Discard, honest, 1000)
	must(t, err)
	time.Sleep(2 * time.Second) // so that others would have been dialled for, too
	if got := f.dialed.Load(); got != 1 {
		t.Errorf("got %d connections to WhatsApp, want that of the app that waits", got)
	}
}

// Row 11: a page of the web finds nothing at the client's port.
func TestAPageOfTheWebFindsNothing(t *testing.T) {
	t.Parallel()
	u := newWorldWith(t, newFar(t, true).at).user(1)
	_, port, _ := net.SplitHostPort(u.chat)
	for request, answered := range map[string]bool{
		"GET / HTTP/1.1\r\nHost: " + u.chat:                                                      true,
		"GET / HTTP/1.1\r\nHost: localhost:" + port:                                              true,
		"GET / HTTP/1.1\r\nHost: rebound.example:" + port:                                        false,
		"GET / HTTP/1.1\r\nHost: " + u.chat + "\r\nOrigin: http://a.example":                     false,
		"GET / HTTP/1.1\r\nHost: " + u.chat + "\r\nUpgrade: websocket\r\nConnection: Upgrade":    false,
		"POST / HTTP/1.1\r\nHost: " + u.chat + "\r\nContent-Length: 0":                           false,
		fmt.Sprintf("CONNECT %s HTTP/1.1\r\nHost: %[1]s", u.chat):                                false,
		"OPTIONS / HTTP/1.1\r\nHost: " + u.chat + "\r\nAccess-Control-Request-Method: " + "POST": false,
	} {
		c, err := net.Dial("tcp", u.chat)
		must(t, err)
		c.SetDeadline(time.Now().Add(10 * time.Second))
		io.WriteString(c, request+"\r\nUpgrade-Insecure-Requests: 1\r\n\r\n")
		got, _ := io.ReadAll(c)
		if want := answered; strings.HasPrefix(string(got), "HTTP/1.1 "+fmt.Sprint(http.StatusOK)) != want || !answered && len(got) > 0 {
			t.Errorf("%q: got %.40q, want an answer: %v", request, got, want)
		}
		c.Close()
	}
}
