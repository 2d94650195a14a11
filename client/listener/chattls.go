package listener

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"sync/atomic"
	"time"

	"culvert/internal/selfsigned"
)

// certificateLife is below the 825 days that Apple's systems allow for a
// server's certificate (https://support.apple.com/103769).
const certificateLife = 824 * 24 * time.Hour

// NewChatCertificate makes the certificate for apps that use TLS for chat. The app takes any, as the official proxy's is
// self-signed, too.
func NewChatCertificate(now time.Time) (*tls.Certificate, error) {
	return selfsigned.Make(now, certificateLife, "localhost", "127.0.0.1")
}

func chatTLSConfig(c *tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{*c}, MinVersion: tls.VersionTLS12}
}

// ChatConn is a connection of an app that uses TLS for chat, which ends here:
// reads and writes see what is inside. CloseWrite is TLS's.
type ChatConn struct {
	*tls.Conn
	below  net.Conn
	aborts atomic.Bool
}

func newChatConn(below net.Conn, hello []byte, cfg *tls.Config) *ChatConn {
	return &ChatConn{Conn: tls.Server(&replay{below, io.MultiReader(bytes.NewReader(hello), below)}, cfg), below: below}
}

// SetLinger with 0 makes Close reset the connection, as for a *net.TCPConn,
// and leave out TLS's farewell: an aborted stream must not look complete.
func (c *ChatConn) SetLinger(seconds int) error {
	c.aborts.Store(seconds == 0)
	if l, ok := c.below.(interface{ SetLinger(int) error }); ok {
		return l.SetLinger(seconds)
	}
	return nil
}

// Close closes the connection, with TLS's farewell unless it was aborted.
func (c *ChatConn) Close() error {
	if c.aborts.Load() {
		return c.below.Close()
	}
	return c.Conn.Close()
}

// replay is a connection from which some bytes were read already.
type replay struct {
	net.Conn
	all io.Reader // those bytes, then the connection
}

func (r *replay) Read(b []byte) (int, error) { return r.all.Read(b) }
