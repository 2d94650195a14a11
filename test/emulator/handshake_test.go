package emulator

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
)

func TestConnectDecidesWhoIsAdmitted(t *testing.T) {
	for _, want := range []int{200, 299, 300, 401, 403, 404, 500, 503} {
		reply, _ := json.Marshal(map[string]int{"statusCode": want})
		admitted := want/100 == 2
		t.Run(http.StatusText(want), func(t *testing.T) {
			bubble(t, Options{}, func(t *testing.T, r *rig) {
				r.gate.routes.Connect = says(string(reply))
				c, res, err := r.try(websocket.DialOptions{})
				switch {
				case admitted && err != nil:
					t.Errorf("got %v, want a connection", err)
				case admitted:
					c.CloseNow()
				case err == nil:
					t.Error("got a connection, want none")
				case res.StatusCode != want:
					t.Errorf("got %d, want %d", res.StatusCode, want)
				}
				if id := r.id(); !admitted && id != "" {
					t.Errorf("got connection %s left, want none", id)
				}
			})
		})
	}
}

func TestAFailureOfConnectRefuses(t *testing.T) {
	for _, c := range failures {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, Options{}, func(t *testing.T, r *rig) {
				f := failing(c.f, c.set)
				defer f.Close()
				r.gate.routes.Connect = f
				_, res, err := r.try(websocket.DialOptions{})
				if err == nil || res.StatusCode != c.want {
					t.Errorf("got %v, want status %d", err, c.want)
				}
			})
		})
	}
}

func TestConnectChoosesTheSubprotocol(t *testing.T) {
	for _, reply := range []string{
		`{"statusCode":"200","headers":{"sec-websocket-protocol":"two"}}`,
		`{"statusCode":200,"multiValueHeaders":{"Sec-WebSocket-Protocol":["two"]}}`,
	} {
		named(t, reply, func(t *testing.T, r *rig) {
			r.gate.routes.Connect = says(reply)
			c, _, err := r.try(websocket.DialOptions{Subprotocols: []string{"one", "two"}})
			if err != nil {
				t.Fatal(err)
			}
			defer c.CloseNow()
			if got := c.Subprotocol(); got != "two" {
				t.Errorf("got %q, want two", got)
			}
		})
	}
}

func named(t *testing.T, name string, test func(*testing.T, *rig)) {
	t.Run(name, func(t *testing.T) { bubble(t, Options{}, test) })
}

// get asks for target by hand and returns the answer's status and body.
func (r *rig) get(target string, h http.Header) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "http://gateway.example"+target, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header = h
	res, err := r.http.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func TestWhatIsNoHandshakeIsRefused(t *testing.T) {
	handshake := http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}}
	without := func(name string) http.Header {
		h := handshake.Clone()
		h.Del(name)
		return h
	}
	bubble(t, Options{}, func(t *testing.T, r *rig) {
		r.gate.routes.Connect = handler(func(context.Context, []byte) ([]byte, error) {
			t.Error("$connect was asked")
			return nil, nil
		})
		for _, c := range []struct {
			target string
			h      http.Header
			want   int
			text   string
		}{
			{"/", handshake, 403, `{"message":"Forbidden"}`},
			{"/v2", handshake, 403, `{"message":"Forbidden"}`},
			{"/v1/", handshake, 403, `{"message":"Forbidden"}`},
			{"/v1/more", handshake, 403, `{"message":"Forbidden"}`},
			{"/v1?" + strings.Repeat("x", 4096), handshake, 414, ""},
			{"/v1", nil, 400, ""},
			{"/v1", without("Upgrade"), 400, ""},
			{"/v1", without("Connection"), 400, ""},
			{"/v1", without("Sec-WebSocket-Key"), 400, ""},
			{"/v1", without("Sec-WebSocket-Version"), 400, ""},
		} {
			got, text := r.get(c.target, c.h)
			if got != c.want || !strings.HasPrefix(text, c.text) {
				t.Errorf("%.20s with %d headers: got %d %q, want %d %q", c.target, len(c.h), got, text, c.want, c.text)
			}
		}
	})
}

func TestConnectionsAreThrottled(t *testing.T) {
	bubble(t, Options{ConnectRate: 2}, func(t *testing.T, r *rig) {
		for i, want := range []int{101, 101, 429, 101} {
			if i == 3 {
				time.Sleep(time.Second / 2)
			}
			c, res, err := r.try(websocket.DialOptions{})
			if res == nil || res.StatusCode != want {
				t.Fatalf("connection %d: got %v, want status %d", i, err, want)
			}
			if err == nil {
				defer c.CloseNow()
			}
		}
	})
}

func TestConnectionsAreBounded(t *testing.T) {
	bubble(t, Options{MaxConnections: 1}, func(t *testing.T, r *rig) {
		first := r.connect()
		if _, res, err := r.try(websocket.DialOptions{}); err == nil || res.StatusCode != 429 {
			t.Errorf("got %v, want status 429", err)
		}
		first.Close(websocket.StatusNormalClosure, "")
		synctest.Wait()
		r.connect()
	})
}

// What ends while the gateway is closing leaves nothing behind, wherever it is.
func TestCloseEndsEverything(t *testing.T) {
	bubble(t, Options{OpenDelay: time.Hour}, func(t *testing.T, r *rig) {
		open := r.connect()
		r.gate.routes.Connect = handler(forever)
		refused := make(chan int)
		go func() {
			_, res, _ := r.try(websocket.DialOptions{})
			refused <- res.StatusCode
		}()
		synctest.Wait()
		go r.gate.Close()
		if got := closed(t, open); got != websocket.StatusServiceRestart {
			t.Errorf("got close code %d, want %d", got, websocket.StatusServiceRestart)
		}
		if got := <-refused; got != 500 {
			t.Errorf("got status %d, want 500", got)
		}
		if got, _ := r.get("/v1", nil); got != 503 {
			t.Errorf("afterwards: got status %d, want 503", got)
		}
	})
}
