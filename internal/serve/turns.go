package serve

import (
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"

	"culvert/internal/netpoll"
)

// turns is a listener whose connections shake hands by turns. Thousands come at once when a server begins again, and the
// answer to a ClientHello takes a part of a millisecond of a core. If all were worked on side by side, nobody would be
// served for long, and many would give up half-way and begin anew. So no more are answered at once than there are cores,
// and the others wait in the order in which their ClientHellos came. Nobody has a turn while the network is waited for.
type turns struct {
	net.Listener
	taken chan struct{} // holds one for each turn
	crowd *crowd
}

// inTurn has the handshakes by secure, which is secureBy's, on the connections of a listener go by turns, of which there are so many.
func inTurn(ln net.Listener, secure *tls.Config, most int) net.Listener {
	begin := secure.GetConfigForClient
	secure.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if c := turnOf(hello.Conn); c != nil {
			if err := c.await(); err != nil {
				return nil, err
			}
		}
		return begin(hello)
	}
	return &turns{ln, make(chan struct{}, most), newCrowd()}
}

// Accept waits for the next connection.
func (t *turns) Accept() (net.Conn, error) {
	c, err := t.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &turn{Conn: c, of: t}, nil
}

// turn is a connection beneath TLS. It has its turn from its ClientHello on until something is written.
type turn struct {
	net.Conn
	of  *turns
	has atomic.Bool
}

// turnOf is the turn that c is, or that lies beneath; nil: there is none.
func turnOf(c net.Conn) *turn {
	for {
		if t, ok := c.(*turn); ok {
			return t
		}
		above, ok := c.(interface{ Beneath() net.Conn })
		if !ok {
			return nil
		}
		c = above.Beneath()
	}
}

// errLeft ends the handshake of whoever did not wait.
var errLeft = errors.New("the peer has left")

// await waits until c has its turn. The error is errLeft.
func (c *turn) await() error {
	c.of.crowd.enter()
	c.of.taken <- struct{}{}
	c.of.crowd.leave()
	c.has.Store(true)
	if netpoll.HungUp(c.Conn) {
		c.end()
		return errLeft
	}
	return nil
}

// end gives the turn to the next.
func (c *turn) end() {
	if c.has.Load() && c.has.Swap(false) {
		<-c.of.taken
	}
}

// Write implements net.Conn.
func (c *turn) Write(b []byte) (int, error) {
	c.end()
	return c.Conn.Write(b)
}

// Close implements net.Conn.
func (c *turn) Close() error {
	err := c.Conn.Close()
	c.end()
	return err
}

// CloseWrite tells the peer that no more comes.
func (c *turn) CloseWrite() error { return netpoll.CloseWrite(c.Conn) }

// NetConn is the connection beneath.
func (c *turn) NetConn() net.Conn { return c.Conn }
