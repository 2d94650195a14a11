package emulator

import (
	"context"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"culvert/test/frames"
)

const (
	frame   = 32 << 10
	message = 128 << 10
)

// write sends one message in frames of the given sizes; an empty frame ends it,
// as the library cannot know which was the last one.
func write(t *testing.T, c *websocket.Conn, kind websocket.MessageType, sizes ...int) {
	t.Helper()
	w, err := c.Writer(t.Context(), kind)
	for _, n := range sizes {
		if err == nil {
			_, err = io.WriteString(w, strings.Repeat("x", n))
		}
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Logf("while writing: %v", err) // the other end may have closed already
	}
}

func TestQuotasCloseWithTheirCodes(t *testing.T) {
	for _, c := range []struct {
		name  string
		kind  websocket.MessageType
		sizes []int
		want  websocket.StatusCode // 0: it is delivered
	}{
		{"one full frame", websocket.MessageText, []int{frame}, 0},
		{"four full frames", websocket.MessageText, []int{frame, frame, frame, frame}, 0},
		{"many small frames", websocket.MessageText, slices.Repeat([]int{1000}, 131), 0},
		{"a byte too much in a frame", websocket.MessageText, []int{frame + 1}, 1009},
		{"a byte too much in a second frame", websocket.MessageText, []int{1, frame + 1}, 1009},
		{"a byte too much in a message", websocket.MessageText, []int{frame, frame, frame, frame, 1}, 1009},
		{"a megabyte", websocket.MessageText, []int{1 << 20}, 1009},
		{"binary", websocket.MessageBinary, []int{1}, 1003},
		{"binary in frames", websocket.MessageBinary, []int{frame, frame}, 1003},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, Options{}, func(t *testing.T, r *rig) {
				r.gate.routes.Default = record(r)
				socket := r.connect()
				var code websocket.StatusCode
				heard := make(chan bool)
				go func() {
					defer close(heard)
					code = closed(t, socket)
				}()
				write(t, socket, c.kind, c.sizes...)
				synctest.Wait()
				if c.want == 0 {
					if got := r.noted(); len(got) != 1 || len(got[0]) != sum(c.sizes) {
						t.Errorf("got %d messages, want one of %d bytes", len(got), sum(c.sizes))
					}
					socket.CloseNow()
				}
				<-heard
				if c.want != 0 && code != c.want {
					t.Errorf("got close code %d, want %d", code, c.want)
				}
			})
		})
	}
}

func sum(all []int) (n int) {
	for _, v := range all {
		n += v
	}
	return n
}

// raw connects without a library that would refuse to break the rules. What the
// gateway sends comes from in.
func (r *rig) raw() (c net.Conn, in io.Reader) {
	r.t.Helper()
	c, err := r.door.dial(r.t.Context(), "tcp", "")
	if err == nil {
		in, err = frames.Dial(c, "gateway.example", "/v1", nil)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return c, in
}

func TestWhatIsNoWebSocketCloses(t *testing.T) {
	masked := func(op frames.Opcode, fin bool, text string) []byte { return frames.Masked(op, fin, []byte(text)) }
	reserved := masked(frames.Text, true, "x")
	reserved[0] |= 0x40
	for _, c := range []struct {
		name string
		sent []byte
		want int
	}{
		{"not masked", frames.Append(nil, frames.Text, true, []byte("x")), 1002},
		{"a continuation of nothing", masked(frames.Continuation, true, "x"), 1002},
		{"a message within a message", append(masked(frames.Text, false, "x"), masked(frames.Text, true, "y")...), 1002},
		{"an extension's bit", reserved, 1002},
		{"an unknown opcode", masked(5, true, "x"), 1002},
		{"a long ping", masked(frames.Ping, true, strings.Repeat("x", 126)), 1002},
		{"no UTF-8", masked(frames.Text, true, "\xff"), 1007},
		{"half a character", append(masked(frames.Text, false, "\xc3"), masked(frames.Continuation, true, "x")...), 1007},
		{"half a close code", masked(frames.Close, true, "\x03"), 1002},
		{"a forbidden close code", masked(frames.Close, true, "\x03\xed"), 1002},
		{"a close code of its own", masked(frames.Close, true, "\x0f\xa1bye"), 4001},
		{"a close without a code", masked(frames.Close, true, ""), frames.NoStatus},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, Options{}, func(t *testing.T, r *rig) {
				socket, in := r.raw()
				go socket.Write(c.sent)
				h, payload, err := frames.Read(in, message)
				if err != nil || h.Opcode != frames.Close {
					t.Fatalf("got %+v and %v, want a close frame", h, err)
				}
				if got, _ := frames.ParseClose(payload); got != c.want {
					t.Errorf("got close code %d, want %d", got, c.want)
				}
				if _, err := io.Copy(io.Discard, in); err != nil {
					t.Errorf("got %v, want an end", err)
				}
			})
		})
	}
}

// A frame that says it is huge gets its close frame before it has arrived.
func TestAHugeFrameIsNotWaitedFor(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, r *rig) {
		socket, in := r.raw()
		go socket.Write(frames.Header{Fin: true, Opcode: frames.Text, Masked: true, Length: 1 << 62}.Append(nil))
		_, payload, err := frames.Read(in, message)
		if code, _ := frames.ParseClose(payload); code != 1009 || err != nil {
			t.Errorf("got %d and %v, want 1009", code, err)
		}
		start := time.Now()
		io.Copy(io.Discard, in)
		if got := time.Since(start); got > 2*time.Second {
			t.Errorf("got an end after %v, want at most 2s", got)
		}
	})
}

func TestIdleConnectionsEndAndPingsDoNotHelp(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, r *rig) {
		c := r.connect()
		start := time.Now()
		var pings sync.WaitGroup
		pings.Go(func() {
			for c.Ping(t.Context()) == nil {
				time.Sleep(time.Minute)
			}
		})
		if got := closed(t, c); got != websocket.StatusGoingAway {
			t.Errorf("got close code %d, want 1001", got)
		}
		if got := time.Since(start).Round(time.Second); got != 10*time.Minute {
			t.Errorf("got an end after %v, want 10m", got)
		}
		pings.Wait()
	})
}

func TestMessagesEitherWayKeepAConnectionForTwoHours(t *testing.T) {
	for _, way := range []string{"up", "down"} {
		t.Run(way, func(t *testing.T) {
			bubble(t, Options{}, func(t *testing.T, r *rig) {
				r.gate.routes.Default = says(ok)
				c := r.connect()
				id, start := r.id(), time.Now()
				end := make(chan time.Time, 1)
				go func() {
					if got := closed(t, c); got != websocket.StatusGoingAway {
						t.Errorf("got close code %d, want 1001", got)
					}
					end <- time.Now()
				}()
				for len(end) == 0 {
					if way == "down" {
						r.post(id, "still here")
					} else {
						c.Write(t.Context(), websocket.MessageText, []byte("still here"))
					}
					time.Sleep(8 * time.Minute)
				}
				if got := (<-end).Sub(start).Round(time.Second); got != 2*time.Hour {
					t.Errorf("got an end after %v, want 2h", got)
				}
			})
		})
	}
}

func TestTooManyMessagesClose(t *testing.T) {
	bubble(t, Options{RequestRate: 1, RequestBurst: 3}, func(t *testing.T, r *rig) {
		r.gate.routes.Default = record(r)
		c := r.connect()
		for range 4 {
			c.Write(t.Context(), websocket.MessageText, []byte("x"))
		}
		if got := closed(t, c); got != websocket.StatusPolicyViolation {
			t.Errorf("got close code %d, want 1008", got)
		}
		synctest.Wait()
		if got := len(r.noted()); got != 3 {
			t.Errorf("got %d messages, want 3", got)
		}
	})
}

// A client whose messages find no function waits; nothing is lost or kept.
func TestMessagesUnderWayAreBounded(t *testing.T) {
	bubble(t, Options{MaxInFlight: 2}, func(t *testing.T, r *rig) {
		release := make(chan bool)
		r.gate.routes.Default = handler(func(context.Context, []byte) ([]byte, error) {
			r.note("")
			<-release
			return []byte(ok), nil
		})
		c := r.connect()
		go func() {
			for range 5 {
				c.Write(context.Background(), websocket.MessageText, []byte("x"))
			}
		}()
		synctest.Wait()
		if got := len(r.noted()); got != 2 {
			t.Errorf("got %d messages at the function, want 2", got)
		}
		close(release)
		synctest.Wait()
		if got := len(r.noted()); got != 5 {
			t.Errorf("got %d messages at the function, want 5", got)
		}
	})
}

// A client that never answers a close frame does not hold the connection.
func TestADeafClientIsLeft(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, r *rig) {
		socket, in := r.raw()
		go io.Copy(io.Discard, in)
		time.Sleep(10*time.Minute + 3*time.Second)
		if _, err := socket.Write([]byte{0}); err == nil {
			t.Error("got a connection, want none")
		}
	})
}
