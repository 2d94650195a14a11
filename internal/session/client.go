package session

import (
	"crypto/rand"
	"io"
	"sync"
	"time"
)

// Client is one session, at the client. It may be used by many goroutines.
type Client struct {
	pair   *Pair
	cipher Cipher
	random io.Reader

	mu      sync.Mutex // guards the following
	i       [16]byte
	root    [32]byte
	rooted  bool
	epoch   int // how often the session began
	process [16]byte
	owner   [8]byte
	newest  *generation
	before  *generation
	tries   byte
	tried   time.Time // when the last Again was made; zero: none is under way
}

// NewClient makes a session that nobody has agreed on yet.
func NewClient(p *Pair, c Cipher) *Client { return newClient(p, c, rand.Reader) }

func newClient(p *Pair, c Cipher, random io.Reader) *Client {
	s := &Client{pair: p, cipher: c, random: random}
	s.fill(s.i[:])
	return s
}

func (s *Client) fill(b []byte) {
	_, err := io.ReadFull(s.random, b)
	must(b, err)
}

// Expire erases generations whose time is over. Call it every minute or so.
func (s *Client) Expire(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range []*generation{s.newest, s.before} {
		if g != nil && now.Sub(g.born) >= GenerationKept {
			g.erase()
		}
	}
}

// offer makes an Agree for a place.
func (s *Client) offer(at place) (*try, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := hello{i: s.i, cipher: s.cipher, on: s.rooted, j: s.tries}
	s.fill(h.e[:])
	t, err := s.pair.try(h, at, s.random)
	if err != nil {
		return nil, err
	}
	s.tries++
	t.root, t.epoch = s.root, s.epoch
	return t, nil
}

// answered makes the generation of a try that was answered the newest.
func (s *Client) answered(t *try, body []byte, now time.Time) (*generation, Event, error) {
	g, a, err := t.finish(body)
	if err != nil {
		return nil, 0, err
	}
	g.born = now.Round(0) // by the wall clock, which goes on while a phone sleeps
	s.mu.Lock()
	defer s.mu.Unlock()
	switch same := a.owner == s.owner; {
	case t.epoch != s.epoch: // the session has begun anew meanwhile
		return nil, 0, ErrOrder
	case a.known:
		if !same || a.process != s.process {
			return nil, 0, ErrElsewhere
		}
		s.advance(g)
		return g, 0, nil
	case s.rooted && !same:
		return nil, 0, ErrElsewhere
	}
	return g, s.restart(g, a), nil
}

func (s *Client) advance(g *generation) {
	if s.before != nil {
		s.before.erase()
	}
	s.newest, s.before = g, s.newest
}

// restart begins the session by g: the first time, or as the origin has forgotten it.
func (s *Client) restart(g *generation, a answer) (ev Event) {
	if s.rooted {
		ev = Restarted
	}
	for _, old := range []*generation{s.newest, s.before} {
		if old != nil {
			old.erase()
		}
	}
	s.root, _ = g.root() // it was made this moment
	s.rooted, s.epoch = true, s.epoch+1
	s.process, s.owner = a.process, a.owner
	s.newest, s.before, s.tried = g, nil, time.Time{}
	return ev
}

// joining is the next Join's number, if there is a generation to join by.
func (s *Client) joining(now time.Time) (*generation, join, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.newest
	if !g.fit(now) || g.joined == 1<<32-1 {
		return nil, join{}, false
	}
	g.joined++
	j := join{g: g.name, n: g.joined}
	s.fill(j.c[:])
	return g, j, true
}

func (s *Client) current() *generation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newest
}

// called finds a generation by its number.
func (s *Client) called(j byte) *generation {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range []*generation{s.newest, s.before} {
		if g != nil && g.j == j {
			return g
		}
	}
	return nil
}

// mayTry reports that the session is to be agreed on again, and notes that it is.
func (s *Client) mayTry(spent bool, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.newest.fit(now) && !spent || !s.tried.IsZero() && now.Sub(s.tried) < tryAgain {
		return false
	}
	s.tried = now
	return true
}

func (s *Client) tryOver() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried = time.Time{}
}
