package emulator

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/coder/websocket"
)

// echo posts every message back, as the origin does, beside the function's answer.
func echo(r *rig) any {
	return func(_ context.Context, e events.APIGatewayWebsocketProxyRequest) (events.APIGatewayProxyResponse, error) {
		return events.APIGatewayProxyResponse{StatusCode: 200, Body: "nobody sees this"}, r.post(e.RequestContext.ConnectionID, e.Body)
	}
}

// record notes the bodies of messages in the order of their arrival.
func record(r *rig) Function {
	return handler(func(_ context.Context, in []byte) ([]byte, error) {
		var e struct{ Body string }
		err := json.Unmarshal(in, &e)
		r.note(e.Body)
		return []byte(ok), err
	})
}

func TestAMessageReachesItsFunctionAndAPostItsClient(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, r *rig) {
		f := NewInProcess(echo(r), Settings{})
		defer f.Close()
		r.gate.routes = Routes{Connect: says(ok), Default: f}
		c := r.connect()
		for _, want := range []string{"hello", "", `<&>" ünï`, strings.Repeat("x", 32<<10)} {
			r.send(c, want)
			if got := r.receive(c); got != want {
				t.Errorf("got %.40q, want %.40q", got, want)
			}
		}
	})
}

// A message does not wait for the one before it, and latency decides on the order.
func TestMessagesArriveInAnyOrder(t *testing.T) {
	left := []time.Duration{3, 1, 2}
	late := Faults{Latency: func() time.Duration {
		if len(left) == 0 {
			return 0
		}
		d := left[0]
		left = left[1:]
		return d * time.Second
	}}
	bubble(t, Options{Faults: late}, func(t *testing.T, r *rig) {
		r.gate.routes.Default = record(r)
		c := r.connect()
		for _, text := range []string{"a", "b", "c"} {
			r.send(c, text)
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		if got, want := r.noted(), []string{"b", "c", "a"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestPostsArriveInAnyOrder(t *testing.T) {
	left := []time.Duration{3, 1, 2}
	late := Faults{Latency: func() time.Duration {
		d := left[0]
		left = left[1:]
		return d * time.Second
	}}
	bubble(t, Options{Faults: late}, func(t *testing.T, r *rig) {
		c := r.connect()
		for _, text := range []string{"a", "b", "c"} {
			if err := r.post(r.id(), text); err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range []string{"b", "c", "a"} {
			if got := r.receive(c); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	})
}

func TestMessagesArriveTwiceEitherWay(t *testing.T) {
	always := Faults{Duplicate: func() bool { return true }}
	bubble(t, Options{Faults: always}, func(t *testing.T, r *rig) {
		r.gate.routes.Default = record(r)
		c := r.connect()
		r.send(c, "up")
		synctest.Wait()
		if got, want := r.noted(), []string{"up", "up"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if err := r.post(r.id(), "down"); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got := r.receive(c); got != "down" {
				t.Errorf("got %q, want down", got)
			}
		}
	})
}

func TestAConnectionIsCutWithoutAWord(t *testing.T) {
	always := Faults{Cut: func() bool { return true }}
	for _, way := range []string{"up", "down"} {
		t.Run(way, func(t *testing.T) {
			bubble(t, Options{Faults: always}, func(t *testing.T, r *rig) {
				r.gate.routes.Default = record(r)
				c := r.connect()
				if way == "up" {
					r.send(c, "hello")
				} else if err := r.post(r.id(), "hello"); status(err) != 410 {
					t.Errorf("got %v, want 410", err)
				}
				if got := closed(t, c); got != -1 {
					t.Errorf("got close code %d, want none", got)
				}
				if got := r.noted(); len(got) > 0 {
					t.Errorf("got %q at the function, want nothing", got)
				}
			})
		})
	}
}

// forever is a handler that only its context ends.
func forever(ctx context.Context, _ []byte) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// failures are all the ways in which a function can fail, with the status of a
// handshake that does.
var failures = []struct {
	name string
	f    handler
	set  Settings
	want int
}{
	{"error", func(context.Context, []byte) ([]byte, error) { return nil, errors.New("no") }, Settings{}, 502},
	{"panic", func(context.Context, []byte) ([]byte, error) { panic("no") }, Settings{}, 502},
	{"no object", func(context.Context, []byte) ([]byte, error) { return []byte(`"ok"`), nil }, Settings{}, 502},
	{"no status", func(context.Context, []byte) ([]byte, error) { return []byte(`{}`), nil }, Settings{}, 502},
	{"odd status", func(context.Context, []byte) ([]byte, error) { return []byte(`{"statusCode":101}`), nil }, Settings{}, 502},
	{"no JSON", func(context.Context, []byte) ([]byte, error) { return nil, nil }, Settings{}, 502},
	{"timeout of its own", forever, Settings{}, 502},
	{"killed", forever, Settings{Kill: func() (time.Duration, bool) { return time.Second, true }}, 502},
	{"too late", forever, Settings{Timeout: time.Hour}, 504},
	{"throttled", forever, Settings{Concurrency: -1}, 500},
}

func TestAClientIsToldOfAFailure(t *testing.T) {
	for _, c := range failures {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, Options{}, func(t *testing.T, r *rig) {
				f := failing(c.f, c.set)
				defer f.Close()
				r.gate.routes.Default = f
				socket := r.connect()
				r.send(socket, "hello")
				var got struct{ Message, ConnectionID, RequestID string }
				if err := json.Unmarshal([]byte(r.receive(socket)), &got); err != nil {
					t.Fatal(err)
				}
				want := "Internal server error"
				if c.want == 504 {
					want = "Endpoint request timed out"
				}
				if got.Message != want || got.ConnectionID != r.id() || len(got.RequestID) != idTextLen {
					t.Errorf("got %+v, want %q with ids", got, want)
				}
			})
		})
	}
}

// failing makes a function; one of concurrency -1 is always busy.
func failing(h handler, s Settings) *InProcess {
	busy := s.Concurrency < 0
	s.Concurrency = max(s.Concurrency, 1)
	f := NewInProcess(h, s)
	if busy {
		f.slots <- struct{}{}
	}
	return f
}

func TestAnAPIWithoutDefaultForbidsMessages(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, r *rig) {
		c := r.connect()
		r.send(c, "hello")
		if got := r.receive(c); !strings.Contains(got, `{"message": "Forbidden", "connectionId":"`) {
			t.Errorf("got %q, want Forbidden", got)
		}
	})
}

// Whatever the function makes of a message, nothing is sent without a route response.
func TestNoAnswerOfAFunctionReachesTheClient(t *testing.T) {
	bubble(t, Options{Idle: time.Minute}, func(t *testing.T, r *rig) {
		r.gate.routes.Default = says(`{"statusCode":500,"body":"seen by nobody"}`)
		c := r.connect()
		r.send(c, "hello")
		if _, b, err := c.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
			t.Errorf("got %q and %v, want nothing until idle", b, err)
		}
	})
}
