package transport

import (
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"testing"
)

// A server that says goodbye by TLS has brought nothing: how long the connection had rested shows what cut it.
func TestAGoodbyeOfTLSIsNothingThatCame(t *testing.T) {
	t.Parallel()
	web := httptest.NewTLSServer(nil) // has a certificate
	defer web.Close()
	near, far := net.Pipe()
	defer near.Close()
	came := 0
	cork := NewCork(near)
	client := tls.Client(cork, &tls.Config{InsecureSkipVerify: true})
	said := make(chan struct{})
	go func() {
		server := tls.Server(far, &tls.Config{Certificates: web.TLS.Certificates, SessionTicketsDisabled: true})
		server.Write(make([]byte, 200))
		<-said
		server.Close()
	}()
	if _, err := io.ReadFull(client, make([]byte, 200)); err != nil {
		t.Fatal(err)
	}
	cork.came = func() { came++ }
	close(said)
	if _, err := client.Read(make([]byte, 1)); err != io.EOF || came != 0 {
		t.Errorf("got %v, and that something came %d times, want an end and nothing", err, came)
	}
}
