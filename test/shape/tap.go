package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"time"
)

// applicationData is the type of the TLS records that are counted (RFC 8446, section 5.1).
const applicationData = 23

// mostRecords is how many of a connection are kept.
const mostRecords = 40

// capture is the first records of one connection behind its upgrade.
type capture struct {
	Class   string       `json:"class"`   // culvert, chat or page
	Group   string       `json:"group"`   // the user, or the site
	Records [][2]float64 `json:"records"` // bytes, below 0 to the server; milliseconds since the one before

	mu    sync.Mutex
	asked bool // the request has been seen
	begun bool // the answer has been seen
	other bool // it is no WebSocket's: HTTP/2 was agreed on
	last  time.Time
	until time.Time // what comes later is no session's any more
}

// saw notes a record of application data.
func (c *capture) saw(down bool, size int, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.other:
	case !c.asked:
		c.asked = !down
	case !c.begun:
		c.begun = down
	case len(c.Records) < mostRecords && now.Before(c.until):
		n := float64(size)
		if !down {
			n = -n
		}
		c.Records = append(c.Records, [2]float64{n, float64(now.Sub(c.last).Microseconds()) / 1000})
	}
	c.last = now
}

// agreedHTTP2 is what a ServerHello's application-layer protocol is then (RFC 7301).
var agreedHTTP2 = []byte("\x00\x10\x00\x05\x00\x03\x02h2")

// looks is told what the server says: some pages ask by HTTP/2, on connections of their own, before they have a WebSocket.
func (c *capture) looks(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.other = c.other || !c.asked && bytes.Contains(b, agreedHTTP2)
}

// captures is all of them.
type captures struct {
	lasts time.Duration // how long each is watched

	mu  sync.Mutex
	all []*capture
}

func (l *captures) begin(class, group string) *capture {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &capture{Class: class, Group: group, until: time.Now().Add(l.lasts)}
	l.all = append(l.all, c)
	return c
}

// read takes the pages from what write has written.
func (l *captures) read(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for from := json.NewDecoder(f); ; {
		c := new(capture)
		if err := from.Decode(c); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		if c.Class == "chat" {
			l.mu.Lock()
			l.all = append(l.all, c)
			l.mu.Unlock()
		}
	}
}

// write has a line for each connection.
func (l *captures) write(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	to := json.NewEncoder(f)
	for _, c := range l.all {
		c.mu.Lock()
		err = errors.Join(err, to.Encode(c))
		c.mu.Unlock()
	}
	return errors.Join(err, f.Close())
}

// tap passes connections on to a server that is some way off, and sees what somebody near the client sees.
type tap struct {
	listener net.Listener
	to       string
	class    string
	group    string
	log      *captures
}

// newTap listens at a port of its own.
func newTap(to, class, group string, log *captures) (*tap, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t := &tap{l, to, class, group, log}
	go t.serve()
	return t, nil
}

func (t *tap) port() int { return t.listener.Addr().(*net.TCPAddr).Port }

func (t *tap) serve() {
	for {
		c, err := t.listener.Accept()
		if err != nil {
			return
		}
		go t.pass(c)
	}
}

// The way to a server, there and back, of most people in the countries that this is for.
const leastTrip, mostTrip = 30 * time.Millisecond, 150 * time.Millisecond

func (t *tap) pass(near net.Conn) {
	defer near.Close()
	far, err := net.Dial("tcp", t.to)
	if err != nil {
		return
	}
	defer far.Close()
	seen := func(bool, int, time.Time) {}
	var of *capture
	if t.log != nil {
		of = t.log.begin(t.class, t.group)
		seen = of.saw
	}
	delay := (leastTrip + rand.N(mostTrip-leastTrip)) / 2
	up := &records{seen: func(n int, at time.Time) { seen(false, n, at) }}
	down := &records{seen: func(n int, at time.Time) { seen(true, n, at) }}
	hears := down.take
	if t.log != nil {
		hears = func(b []byte) { of.looks(b); down.take(b) }
	}
	ended := make(chan struct{}, 2)
	go func() { forward(far, near, delay, up.take, nil); ended <- struct{}{} }()
	go func() { forward(near, far, delay, nil, hears); ended <- struct{}{} }()
	<-ended
}

// forward writes to one what it has read from the other a while before. came is told of bytes when they were read, goes
// when they are written; either may be nil.
func forward(to, from net.Conn, delay time.Duration, came, goes func([]byte)) {
	type piece struct {
		b  []byte
		at time.Time
	}
	pieces := make(chan piece, 1<<10)
	go func() {
		defer close(pieces)
		for {
			b := make([]byte, 16<<10)
			n, err := from.Read(b)
			if came != nil {
				came(b[:n])
			}
			pieces <- piece{b[:n], time.Now().Add(delay)}
			if err != nil {
				return
			}
		}
	}()
	for p := range pieces {
		time.Sleep(time.Until(p.at))
		if goes != nil {
			goes(p.b)
		}
		if _, err := to.Write(p.b); err != nil {
			break
		}
	}
	to.Close()
	from.Close()
	for range pieces { // whoever reads has an error by now
	}
}

// records finds TLS records in a direction of a connection.
type records struct {
	seen func(size int, at time.Time)
	head []byte
	left int
}

// recordHead is type, version and length of a TLS record.
const recordHead = 5

func (r *records) take(b []byte) {
	for len(b) > 0 {
		if r.left > 0 {
			n := min(r.left, len(b))
			r.left, b = r.left-n, b[n:]
			continue
		}
		n := min(recordHead-len(r.head), len(b))
		r.head, b = append(r.head, b[:n]...), b[n:]
		if len(r.head) == recordHead {
			r.left = int(binary.BigEndian.Uint16(r.head[3:]))
			if r.head[0] == applicationData {
				r.seen(r.left, time.Now())
			}
			r.head = r.head[:0]
		}
	}
}
