package hostile

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"culvert/internal/wire"
)

// asGateway are the settings of an origin with a gateway door, to which nobody listens.
func asGateway(w *world) []string {
	return []string{"CULVERT_GATEWAY=http://127.0.0.1:9", "CULVERT_ADVERTISE=" + w.door, "AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x"}
}

// post hands an event on as a function does, and returns how long that took.
func (w *world) post(s *wire.Signer) (time.Duration, error) {
	body := s.Sign(wire.Handed{Event: wire.Disconnect, Conn: "AbCdEfGhIjKlMn="}, time.Now())
	began := time.Now()
	client := http.Client{Timeout: 10 * time.Second}
	res, err := client.Post("http://"+w.door+"/", "application/octet-stream", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	if res.StatusCode != http.StatusNoContent {
		return 0, fmt.Errorf("answered %s", res.Status)
	}
	return time.Since(began), nil
}

// posts are made one after another for some time.
func (w *world) posts(s *wire.Signer, during time.Duration) (all trips, lost int) {
	for end := time.Now().Add(during); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if took, err := w.post(s); err == nil {
			all = append(all, took)
		} else {
			lost++
		}
	}
	return all, lost
}

// A stranger begins 300 posts a second, from the address by which functions come, and ends none.
func TestSlowPostsDoNotHoldUpFunctions(t *testing.T) {
	w := newWorld(t, asGateway)
	signer := wire.NewSigner(wire.GateKeys{w.master.GateKey()})
	other := newWorld(t, asGateway) // apart
	held, stop, over := newCrowd(t), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		for tick := time.NewTicker(time.Second / 300); ; <-tick.C {
			select {
			case <-stop:
				return
			default:
				strangers(t, held, 1, w.door, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\nxxx", one)
			}
		}
	}()
	time.Sleep(time.Second)
	apart := make(chan trips, 1)
	go func() {
		all, _ := other.posts(wire.NewSigner(wire.GateKeys{other.master.GateKey()}), 4*time.Second)
		apart <- all
	}()
	beside, lost := w.posts(signer, 4*time.Second)
	quiet := <-apart
	close(stop)
	<-over
	t.Logf("apart %v; beside %d slow posts %v, %d lost; origin %d MiB", quiet, held.len(), beside, lost, w.origin.rss())
	if n := held.len(); n < 300 {
		t.Errorf("got %d slow posts: it was no attack", n)
	}
	if lost > 0 || beside.at(0.95) > 3*quiet.at(0.95)+100*time.Millisecond {
		t.Errorf("got %v and %d lost, want all at once", beside, lost)
	}
}
