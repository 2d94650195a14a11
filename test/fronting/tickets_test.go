package fronting

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"testing"

	"golang.org/x/crypto/cryptobyte"

	"culvert/client/front"
	"culvert/client/look"
	"culvert/internal/link"
)

// tap keeps what the client's first write says, and counts what comes down.
type tap struct {
	net.Conn
	hello []byte
	down  int
}

func (c *tap) Write(b []byte) (int, error) {
	if c.hello == nil {
		c.hello = bytes.Clone(b)
	}
	return c.Conn.Write(b)
}

func (c *tap) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.down += n
	return n, err
}

// ticket is the first identity of a ClientHello's pre_shared_key (RFC 8446, section 4.2.11),
// or none.
func ticket(t *testing.T, record []byte) string {
	t.Helper()
	hello := cryptobyte.String(record)
	var session, suites, methods, extensions cryptobyte.String
	if !hello.Skip(5+4+2+32) || !hello.ReadUint8LengthPrefixed(&session) || !hello.ReadUint16LengthPrefixed(&suites) ||
		!hello.ReadUint8LengthPrefixed(&methods) || !hello.ReadUint16LengthPrefixed(&extensions) {
		t.Fatalf("got %x, want a ClientHello", record)
	}
	for !extensions.Empty() {
		var kind uint16
		var body, identities, first cryptobyte.String
		if !extensions.ReadUint16(&kind) || !extensions.ReadUint16LengthPrefixed(&body) {
			t.Fatalf("got %x, want extensions", record)
		}
		if kind == 42 { // early_data
			t.Error("got early data announced, want none")
		}
		if kind == 41 && body.ReadUint16LengthPrefixed(&identities) && identities.ReadUint16LengthPrefixed(&first) {
			return string(first)
		}
	}
	return ""
}

// A CDN that is not ours takes tickets, and sends new ones.
func TestTLSIsResumedByATicketThatIsUsedOnce(t *testing.T) {
	t.Parallel()
	cdns(t, 0, func(t *testing.T, c *cdn) {
		for _, name := range look.Names() {
			resumeAs(t, c, name)
		}
	})
}

// resumeAs opens some connections with a look, one after another.
func resumeAs(t *testing.T, c *cdn, name string) {
	var taps []*tap
	d := &front.Dialer{Look: name, Wrap: func(conn net.Conn) net.Conn {
		taps = append(taps, &tap{Conn: conn})
		return taps[len(taps)-1]
	}}
	f, err := link.ParseFront(c.front(other, ""))
	must(t, err)
	file, err := os.ReadFile(c.pin)
	must(t, err)
	pin, err := link.PinPEM(file)
	must(t, err)
	f.Pins = []link.Pin{pin}
	used := make(map[string]bool)
	for i := range 4 {
		conn, way, err := front.Open(t.Context(), d, f, visit)
		must(t, err)
		conn.Close()
		p := taps[len(taps)-1]
		switch id := ticket(t, p.hello); {
		case way.State.DidResume != (i > 0), way.State.Version != tls.VersionTLS13:
			t.Errorf("%s, connection %d: resumed is %v, %s, want all but the first resumed", name, i+1, way.State.DidResume, tls.VersionName(way.State.Version))
		case i > 0 && (id == "" || used[id]):
			t.Errorf("%s, connection %d: got a ticket of %d bytes, used before is %v, want a new one", name, i+1, len(id), used[id])
		default:
			used[id] = true
		}
		t.Logf("%s, connection %d: %d bytes down, resumed %v", name, i+1, p.down, way.State.DidResume)
	}
}

// visit reads the other site, whose answer comes behind tickets.
func visit(_ context.Context, conn *front.Conn) (*front.Conn, error) {
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", other)
	b, err := io.ReadAll(conn)
	if err == nil && !bytes.HasSuffix(b, []byte(otherSite)) {
		err = fmt.Errorf("got %q, want the other site", b)
	}
	if err != nil {
		conn.Close()
	}
	return conn, err
}
