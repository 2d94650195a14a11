// Package standin is a WhatsApp for tests, demonstrations and machines without
// internet. It shares no code with internal/whatsapp, whose proofs are tried
// against it.
package standin

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"sync"

	"github.com/flynn/noise"
)

// Server is a stand-in for WhatsApp: chat that proves itself by a Noise
// certificate chain of its own root and then echoes, and media over TLS by an
// authority of its own. All its methods may be called at once. Whoever makes one
// calls Close, which ends what ServeChat and ServeMedia serve.
type Server struct {
	root   [32]byte
	static noise.DHKey
	chain  []byte // the server's certificates, as the handshake carries them
	cert   tls.Certificate
	ca     []byte // the authority that signed cert, DER
	cas    *x509.CertPool

	mu     sync.Mutex
	closed bool
	open   map[io.Closer]struct{} // listeners, servers and chat connections
	wg     sync.WaitGroup         // what serves them
}

// maxConns bounds the connections of one listener; further ones are
// closed as they come.
const maxConns = 16 << 10

// New makes a stand-in with fresh keys. Close it when done.
func New() (*Server, error) {
	s := &Server{open: make(map[io.Closer]struct{})}
	if err := s.makeChain(); err != nil {
		return nil, err
	}
	if err := s.makeCertificate(); err != nil {
		return nil, err
	}
	return s, nil
}

// Root is the public key that signs the chat server's certificates.
func (s *Server) Root() [32]byte { return s.root }

// Certificate is what the media server shows, with its key.
func (s *Server) Certificate() tls.Certificate { return s.cert }

// CAs trusts the media server's certificate, for *.whatsapp.net and its like.
func (s *Server) CAs() *x509.CertPool { return s.cas }

// Authority is the certificate behind CAs, as PEM.
func (s *Server) Authority() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.ca})
}

// Close ends all listeners and connections and waits for what served them.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	for c := range s.open {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
	return nil
}

// begin makes Close wait for one more wg.Done. It fails once Close was called.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.wg.Add(1)
	}
	return !s.closed
}

// track puts c in Close's hands until untrack, or closes it if Close was called.
func (s *Server) track(c io.Closer) bool {
	if !s.begin() {
		c.Close()
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[c] = struct{}{}
	if s.closed {
		c.Close()
	}
	return true
}

func (s *Server) untrack(c io.Closer) {
	c.Close()
	s.mu.Lock()
	delete(s.open, c)
	s.mu.Unlock()
	s.wg.Done()
}

// ended is the result of serving: nil after Close.
func (s *Server) ended(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// capped accepts at most as many connections at once as there are slots.
type capped struct {
	net.Listener
	slots chan struct{}
}

func newCapped(l net.Listener, most int) *capped {
	return &capped{l, make(chan struct{}, most)}
}

func (l *capped) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.slots <- struct{}{}:
			return &cappedConn{Conn: conn, slots: l.slots}, nil
		default:
			conn.Close()
		}
	}
}

type cappedConn struct {
	net.Conn
	slots chan struct{}
	once  sync.Once
}

func (c *cappedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { <-c.slots })
	return err
}
