package serve

import (
	"crypto/tls"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// visitor is a client that keeps its tickets.
type visitor struct{ cfg *tls.Config }

func newVisitor(version uint16) *visitor {
	return &visitor{&tls.Config{ServerName: "edge.test", InsecureSkipVerify: true, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(1)}}
}

// resumes reports whether a session is resumed at a server, and keeps the ticket that it hands out.
func (v *visitor) resumes(t *testing.T, server *tls.Config) bool {
	t.Helper()
	near, far := net.Pipe()
	go func() {
		s := tls.Server(far, server)
		defer s.Close()
		io.WriteString(s, "x") // behind the ticket
	}()
	c := tls.Client(near, v.cfg)
	defer near.Close()
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return c.ConnectionState().DidResume
}

// certified makes certificates. Each is that of one server, however often it is started.
func certified(t *testing.T) *tls.Certificate {
	t.Helper()
	cert, err := SelfSigned(time.Now(), "edge.test")
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// started is a server's settings as a process has them that has just begun.
func started(cert *tls.Certificate) *tls.Config {
	again := *cert // read from its file
	return secureBy(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &again, nil })
}

func TestASessionIsResumedByWhoeverHasTheCertificatesKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cert, v := certified(t), newVisitor(0)
		for _, step := range []struct {
			what   string
			pause  time.Duration
			server *tls.Config
			want   bool
		}{
			{"a new client", 0, started(cert), false},
			{"after a restart", 0, started(cert), true},
			{"within a week", 6 * 24 * time.Hour, started(cert), true},
			{"after it", 8 * 24 * time.Hour, started(cert), false},
			{"another key", 0, started(certified(t)), false},
			{"the first again, by another's ticket", 0, started(cert), false},
		} {
			time.Sleep(step.pause) // of synctest's clock
			if got := v.resumes(t, step.server); got != step.want {
				t.Errorf("%s: got a session resumed %t, want %t", step.what, got, step.want)
			}
		}
	})
}

// Keys last for eight days at most, and the tickets of a day are taken by the keys of the days behind it.
func TestTicketsGoByTheKeysOfTheirDay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, v := started(certified(t)), newVisitor(0)
		v.resumes(t, server)
		for day := range 10 {
			time.Sleep(24 * time.Hour) // of synctest's clock
			if !v.resumes(t, server) {
				t.Errorf("day %d: got no session resumed by a ticket of the day before", day+1)
			}
		}
		cert := certified(t)
		today, err := ticketKeys(cert, 20000)
		if err != nil {
			t.Fatal(err)
		}
		later, err := ticketKeys(cert, 20000+ticketDays)
		if err != nil {
			t.Fatal(err)
		}
		for i, key := range later {
			if is, want := key == today[0], i == ticketDays; is != want {
				t.Errorf("%d days before: got the key of day 20000 %t, want %t", i, is, want)
			}
		}
	})
}

// A ticket of TLS 1.2 has in it what opens the session: nothing that lasts opens the ticket.
func TestATicketOfTLS12IsGoodForOneProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cert, v := certified(t), newVisitor(tls.VersionTLS12)
		first := started(cert)
		for _, step := range []struct {
			what   string
			server *tls.Config
			want   bool
		}{{"a new client", first, false}, {"once more", first, true}, {"after a restart", started(cert), false}} {
			if got := v.resumes(t, step.server); got != step.want {
				t.Errorf("%s: got a session resumed %t, want %t", step.what, got, step.want)
			}
		}
	})
}
