package app

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"culvert/internal/whatsapp"
	"culvert/test/standin"
	"culvert/test/standin/standintest"
)

// dial starts a stand-in and connects to its chat.
func dial(t *testing.T) (*standin.Server, net.Conn) {
	t.Helper()
	s := standintest.Serve(t)
	return s.Server, standintest.Dial(t, s.Chat)
}

func TestExchangedMessagesComeBack(t *testing.T) {
	t.Parallel()
	s, conn := dial(t)
	trips, err := Exchange(t.Context(), conn, s.Root(), 20)
	if err != nil || len(trips) != 20 {
		t.Errorf("got %d trips and %v, want 20 and nil", len(trips), err)
	}
}

func TestTheStandInsCloseEndsAConnectionThatExchanged(t *testing.T) {
	t.Parallel()
	s, conn := dial(t)
	if _, err := Exchange(t.Context(), conn, s.Root(), 1); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("got a connection that lives on, want it closed")
	}
}

func TestNobodyLogsInToWhatsApp(t *testing.T) {
	t.Parallel()
	_, conn := dial(t)
	if _, err := Exchange(t.Context(), conn, whatsapp.Root(), 1); !errors.Is(err, errRealServer) {
		t.Errorf("with WhatsApp's root: got %v, want it refused", err)
	}
	if _, err := Exchange(t.Context(), conn, [32]byte{9}, 1); !errors.Is(err, whatsapp.ErrSignature) {
		t.Errorf("with another root: got %v, want ErrSignature", err)
	}
}

// The keys are random, so that twenty stand-ins have signatures of either sign.
func TestStandInsOfAnyKeyAreBelieved(t *testing.T) {
	t.Parallel()
	for range 20 {
		s, conn := dial(t)
		if _, err := Exchange(t.Context(), conn, s.Root(), 1); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAServerWithoutRootHearsAFirstFlightAlone(t *testing.T) {
	t.Parallel()
	_, conn := dial(t)
	counted := &standintest.Counting{Conn: conn}
	Exchange(t.Context(), counted, [32]byte{9}, 1)
	if counted.Sent != 43 {
		t.Errorf("got %d bytes sent, want the 43 of the first flight", counted.Sent)
	}
}

func TestSilenceEndsWithTheContext(t *testing.T) {
	t.Parallel()
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		ctx  context.Context
		want error
	}{{short, whatsapp.ErrTimeout}, {gone, context.Canceled}} {
		near, far := net.Pipe()
		go io.Copy(io.Discard, far)
		if _, err := Exchange(c.ctx, near, [32]byte{}, 1); !errors.Is(err, c.want) {
			t.Errorf("got %v, want %v", err, c.want)
		}
		near.Close()
	}
}
