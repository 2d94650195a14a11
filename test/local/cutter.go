package local

import (
	"net"
	"sync"
)

// Cutter is a listener that can cut all its connections, as a censor or a
// network does: with a reset and without a word.
type Cutter struct {
	net.Listener

	mu   sync.Mutex // guards the following
	open map[*cuttable]struct{}
	all  int // that were accepted
}

// cuttable is one of a Cutter's connections.
type cuttable struct {
	*net.TCPConn
	from *Cutter
}

// Accept notes the connection until it is closed.
func (c *Cutter) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all++
	if c.open == nil {
		c.open = make(map[*cuttable]struct{})
	}
	one := &cuttable{tcp, c}
	c.open[one] = struct{}{}
	return one, nil
}

// Close may be called more than once.
func (c *cuttable) Close() error {
	c.from.mu.Lock()
	delete(c.from.open, c)
	c.from.mu.Unlock()
	return c.TCPConn.Close()
}

// Cut resets all connections that are open, and says how many there were.
func (c *Cutter) Cut() int {
	c.mu.Lock()
	all := make([]*cuttable, 0, len(c.open))
	for one := range c.open {
		all = append(all, one)
	}
	c.mu.Unlock()
	for _, one := range all {
		one.SetLinger(0)
		one.Close()
	}
	return len(all)
}

// Accepted is how many connections there were.
func (c *Cutter) Accepted() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all
}
