package client

import (
	"net"

	"culvert/internal/transport"
	"culvert/internal/wire"
)

// goAhead makes the carrier of s, which is about to be asked for on conn, and returns its first
// message, which goes with the request: that saves a round trip where each connection brings little.
// nil: s is carried once it is there, as others are to use it, or it is not known yet how much the
// answer takes of what the connection may bring.
func (c *Client) goAhead(s *socket, i int, conn net.Conn, w wanted) (first []byte) {
	cork, answer := corkOf(conn), c.budgets.answerOf(i)
	if w.bulk == nil || cork == nil || answer == 0 || !c.budgets.isTight(i) {
		return nil
	}
	s.awaited = &transport.Awaited{}
	s.Transport = s.awaited
	s.cost, s.brought = cork.Brought()+answer, cork.Brought
	s.ahead = c.newCarrier(s, i, w.home)
	s.ahead.Hold()
	budget := c.budgets.left(s.ahead, true)
	w.home.paths.follow(s.ahead, budget)
	s.ahead.SayKnown(c.fronts.known())
	s.ahead.Ping()
	w.bulk.await(s.ahead)
	if first = s.ahead.First(wire.MaxAhead); first == nil {
		c.giveUpAhead(s)
	}
	return first
}

// giveUpAhead ends the carrier of s, which is not opened: what its first message said is lost.
func (c *Client) giveUpAhead(s *socket) {
	if l := s.ahead; l != nil {
		s.ahead, s.awaited = nil, nil
		l.Close()
		c.task(func() { l.Serve() })
	}
}

// await has the tunnels go by l, too, once it is there.
func (s *spread) await(l *activeCarrier) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tunnels {
		if t.Session() == l.home.session {
			t.Await(l.Carrier)
		}
	}
}

// answerOf is how many bytes a front's answer to a request for a socket takes, about; 0: it is not
// known.
func (b *budgets) answerOf(front int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.of(front).answer
}

// answerTook notes that.
func (b *budgets) answerTook(front, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.of(front).answer = n
}

// corkOf is what counts the bytes of a connection; nil: nothing does.
func corkOf(conn net.Conn) *transport.Cork {
	if tls, ok := conn.(interface{ NetConn() net.Conn }); ok {
		cork, _ := tls.NetConn().(*transport.Cork)
		return cork
	}
	return nil
}
