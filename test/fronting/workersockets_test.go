package fronting

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"culvert/internal/seal"
	"culvert/internal/wire"
)

// socketLimit bounds what a test of single sockets waits for.
const socketLimit = 30 * time.Second

// behindWorker dials what serve serves, through a worker, as a client does.
func behindWorker(t *testing.T, run func(string) string, serve func(context.Context, *websocket.Conn)) (dial func() *websocket.Conn) {
	t.Helper()
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: wire.TicketCookie, Value: "ticket"})
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(1 << 20)
		serve(r.Context(), c)
	}))
	t.Cleanup(origin.Close)
	at := run(origin.URL)
	keys, err := wire.ParseGateKeys(gateSecret)
	must(t, err)
	w := &world{TB: t, master: seal.NewMaster().WithGate(keys[0])}
	return func() *websocket.Conn {
		header := http.Header{"Cookie": {w.tokenOf(7, time.Now())}}
		c, res, err := websocket.Dial(t.Context(), "ws://"+at, &websocket.DialOptions{HTTPHeader: header})
		must(t, err)
		if got := res.Header.Get("Set-Cookie"); got != wire.TicketCookie+"=ticket" {
			t.Errorf("got the cookie %q, want the origin's", got)
		}
		c.SetReadLimit(1 << 20)
		t.Cleanup(func() { c.CloseNow() })
		return c
	}
}

func TestMessagesCrossAWorkerUnchanged(t *testing.T) {
	t.Parallel()
	workers(t, func(t *testing.T, run func(string) string) {
		c := behindWorker(t, run, func(ctx context.Context, c *websocket.Conn) {
			for {
				kind, b, err := c.Read(ctx)
				if err != nil || c.Write(ctx, kind, b) != nil {
					return
				}
			}
		})()
		ctx, cancel := context.WithTimeout(t.Context(), socketLimit)
		defer cancel()
		for _, size := range []int{0, 1, 125, 126, 511, 4096, 16384, 65535, 65536, wire.MaxMessage} {
			want := make([]byte, size)
			rand.Read(want)
			must(t, c.Write(ctx, websocket.MessageBinary, want))
			if kind, got, err := c.Read(ctx); err != nil || kind != websocket.MessageBinary || !bytes.Equal(got, want) {
				t.Fatalf("%d bytes: got %v, %d others back and %v", size, kind, len(got), err)
			}
		}
	})
}

func TestAWorkerPassesOnHowASocketEnds(t *testing.T) {
	t.Parallel()
	workers(t, func(t *testing.T, run func(string) string) {
		const code, reason = websocket.StatusCode(4321), "enough"
		ends := make(chan error, 1)
		dial := behindWorker(t, run, func(ctx context.Context, c *websocket.Conn) {
			_, how, err := c.Read(ctx)
			switch string(how) {
			case "close":
				c.Close(code, reason)
				return
			case "break":
				return // the connection is cut
			}
			for err == nil {
				_, _, err = c.Read(ctx)
			}
			ends <- err
		})
		ctx, cancel := context.WithTimeout(t.Context(), socketLimit)
		defer cancel()
		for _, how := range []string{"close", "break"} {
			c := dial()
			must(t, c.Write(ctx, websocket.MessageText, []byte(how)))
			_, _, err := c.Read(ctx)
			if err == nil || ctx.Err() != nil || (how == "close") != (websocket.CloseStatus(err) == code) {
				t.Errorf("the origin's %s: got %v", how, err)
			}
		}
		c := dial()
		must(t, c.Write(ctx, websocket.MessageText, []byte("go on")))
		go c.Close(code, reason)
		var said websocket.CloseError
		if err := within(ctx, t, ends); !errors.As(err, &said) || said.Code != code || said.Reason != reason {
			t.Errorf("the client's close: got %v at the origin, want %v %q", err, code, reason)
		}
		c = dial()
		must(t, c.Write(ctx, websocket.MessageText, []byte("go on")))
		c.CloseNow()
		if err := within(ctx, t, ends); err == nil {
			t.Error("the client has gone: got no error at the origin")
		}
	})
}

// within is what comes by c before ctx ends.
func within(ctx context.Context, t *testing.T, c chan error) error {
	t.Helper()
	select {
	case err := <-c:
		return err
	case <-ctx.Done():
		t.Error("the origin's socket goes on")
		return nil
	}
}

// A worker keeps little of what a slow client does not take: the origin has to wait.
func TestAWorkerWaitsForWhoeverIsSlow(t *testing.T) {
	t.Parallel()
	workers(t, func(t *testing.T, run func(string) string) {
		const much, most = 256 << 20, 48 << 20 // most is several times what sockets of this machine hold
		var sent atomic.Int64
		waits := make(chan struct{}, 1)
		dial := behindWorker(t, run, func(ctx context.Context, c *websocket.Conn) {
			message := make([]byte, 64<<10)
			for sent.Load() < much {
				stuck := time.AfterFunc(2*time.Second, func() {
					select {
					case waits <- struct{}{}:
					default: // said already
					}
				})
				err := c.Write(ctx, websocket.MessageBinary, message)
				if stuck.Stop(); err != nil {
					return
				}
				sent.Add(int64(len(message)))
			}
		})
		c := dial()
		select {
		case <-waits:
		case <-time.After(socketLimit):
		}
		t.Logf("%d MB are on their way to a client that reads nothing", sent.Load()>>20)
		if got := sent.Load(); got > most {
			t.Errorf("got %d MB kept for a client that reads nothing, want %d at most", got>>20, most>>20)
		}
		ctx, cancel := context.WithTimeout(t.Context(), socketLimit)
		defer cancel()
		var came int
		for came < most {
			_, b, err := c.Read(ctx)
			if err != nil {
				t.Fatalf("after %d bytes: %v", came, err)
			}
			came += len(b)
		}
	})
}

// An origin that takes connections and says nothing is down, too.
func TestAWorkerShowsTheSiteForAnOriginThatIsSilent(t *testing.T) {
	t.Parallel()
	onlyIfLong(t)
	workers(t, func(t *testing.T, run func(string) string) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		defer ln.Close()
		at := run("http://" + ln.Addr().String())
		begin := time.Now()
		got := attempt{method: "GET", path: "/about.html"}.seen(t, at)
		if took := time.Since(begin); took < 9*time.Second || took > 20*time.Second || got[:3] != "200" {
			t.Errorf("got %q after %v, want the page after 10 s", got, took)
		}
	})
}
