package local_test

import (
	"errors"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"culvert/client/doctor"
	"culvert/client/nearend"
	"culvert/test/app"
	"culvert/test/local"
	"culvert/test/local/localtest"
)

// Not parallel: nothing else runs beside it.
func TestCloseLeavesNothingBehind(t *testing.T) {
	localtest.Open(t).Close()
	var stacks string
	for limit := time.Now().Add(5 * time.Second); time.Now().Before(limit); runtime.Gosched() {
		all := make([]byte, 1<<20)
		stacks = string(all[:runtime.Stack(all, true)])
		if strings.Count(stacks, "\nculvert/") == strings.Count(stacks, "culvert/test/local_test.") {
			return
		}
	}
	t.Errorf("got goroutines after Close:\n%s", stacks)
}

// A connection that the app holds open lives on when all carriers are cut.
func TestACutCarrierIsReplacedUnderTheApp(t *testing.T) {
	t.Parallel()
	r := localtest.Open(t)
	conn, err := r.DialChat(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := app.Exchange(t.Context(), &cutting{Conn: conn, carriers: r.Carriers, left: 3}, r.Trust.Root, 20); err != nil {
		t.Errorf("got %v, want every message answered", err)
	}
}

// cutting cuts all carriers before its first writes.
type cutting struct {
	net.Conn
	carriers *local.Cutter
	left     int
}

func (c *cutting) Write(b []byte) (int, error) {
	if c.left > 0 {
		c.left--
		c.carriers.Cut()
	}
	return c.Conn.Write(b)
}

func TestTheOriginsFailureIsKept(t *testing.T) {
	t.Parallel()
	r := localtest.Offline(t)
	if err := r.OpenNear(t.Context(), nearend.AnyPorts, t.Output()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := doctor.Ways{Chat: r.DialChat, Media: r.DialMedia}.Prove(t.Context(), r.Trust, 10*time.Second)
	if all.Chat.Err == nil || r.WhyNoDial() == nil {
		t.Errorf("got %v and %v, want an error twice", all.Chat.Err, r.WhyNoDial())
	}
}

// Nothing waits for connections that the app holds open, as chat does for hours.
func TestOpenConnectionsDoNotHoldTheEndUp(t *testing.T) {
	t.Parallel()
	r := localtest.Open(t)
	conn, err := r.DialChat(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := app.Exchange(t.Context(), conn, r.Trust.Root, 1); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	r.Close()
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("got an end after %v, want it at once", took)
	}
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want a connection that has ended", err)
	}
}
