//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"sync"
	"time"
)

// errInexact means that bytes came which were not sent, or not in that order:
// what no network may bring about.
var errInexact = errors.New("bytes were lost, doubled or altered")

// Chat as most people have it: a question a second, of which every eighth brings
// an answer of 4 kB.
const (
	questionSize = 100
	smallAnswer  = 200
	largeAnswer  = 4000
	largeEvery   = 8
	maxWaiting   = 10_000 // questions at most, of one connection
)

// chat is one connection of the app that asks whether or not answers have come.
type chat struct {
	conn net.Conn
	out  chan []byte   // questions
	done chan struct{} // closed when nothing is read any more

	mu      sync.Mutex // guards the following
	number  uint32
	waiting []asked
	trips   []time.Duration // of answers, in order
	err     error           // why no more come
}

type asked struct {
	at     time.Time
	number uint32
	size   int
	done   chan time.Duration
}

// newChat opens a connection through the client.
func (w *world) newChat() (*chat, error) { return w.chatAt(rawAt) }

func (w *world) chatAt(address string) (*chat, error) {
	conn, err := w.path.Client.Dial(address)
	if err != nil {
		return nil, err
	}
	c := &chat{conn: conn, out: make(chan []byte, maxWaiting), done: make(chan struct{})}
	go c.read()
	go c.write()
	return c, nil
}

// write sends questions until the connection ends.
func (c *chat) write() {
	for {
		select {
		case b := <-c.out:
			c.conn.Write(b) // an error of the connection ends read, too
		case <-c.done:
			return
		}
	}
}

func (c *chat) close() {
	c.conn.Close()
	<-c.done
}

// ask sends a question; how long its answer took comes from the channel, once.
func (c *chat) ask(size, wanted int) <-chan time.Duration {
	c.mu.Lock()
	c.number++
	a := asked{time.Now(), c.number, wanted, make(chan time.Duration, 1)}
	c.waiting = append(c.waiting, a)
	c.out <- question(a.number, size, wanted)
	c.mu.Unlock()
	return a.done
}

// answered asks, and waits for at most so long.
func (c *chat) answered(wanted int, limit time.Duration) (time.Duration, bool) {
	select {
	case took := <-c.ask(questionSize, wanted):
		return took, true
	case <-c.done:
		return limit, false
	case <-time.After(limit):
		return limit, false
	}
}

// read takes answers until the connection ends.
func (c *chat) read() {
	defer close(c.done)
	for {
		head := make([]byte, answerHead)
		_, err := io.ReadFull(c.conn, head)
		if err == nil {
			err = c.readAnswer(head)
		}
		if err != nil {
			c.mu.Lock()
			c.err = err
			c.mu.Unlock()
			return
		}
	}
}

func (c *chat) readAnswer(head []byte) error {
	c.mu.Lock()
	if len(c.waiting) == 0 {
		c.mu.Unlock()
		return fmt.Errorf("%w: an answer to no question", errInexact)
	}
	a := c.waiting[0]
	c.mu.Unlock()
	want := answer(a.number, a.size)
	got := append(head, make([]byte, a.size)...)
	if !bytes.Equal(head, want[:answerHead]) {
		return fmt.Errorf("%w: another answer than that of question %d", errInexact, a.number)
	}
	if _, err := io.ReadFull(c.conn, got[answerHead:]); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%w: in answer %d", errInexact, a.number)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	took := time.Since(a.at)
	c.waiting, c.trips = c.waiting[1:], append(c.trips, took)
	a.done <- took
	return nil
}

// talk asks once each pause for so long, then waits some more for answers.
func (c *chat) talk(ctx context.Context, d, pause, patience time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var last <-chan time.Duration
	for i := 0; ctx.Err() == nil; i++ {
		size := smallAnswer
		if i%largeEvery == largeEvery-1 {
			size = largeAnswer
		}
		last = c.ask(questionSize, size)
		rest(ctx, pause)
	}
	select {
	case <-last:
	case <-c.done:
	case <-time.After(patience):
	}
}

// delays are those of all questions, sorted; what has not been answered counts
// with the time for which it has waited.
type delays struct {
	all   []time.Duration
	never int
	err   error // the connection has ended
}

func (c *chat) delays() (d delays) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d.all = slices.Clone(c.trips)
	for _, a := range c.waiting {
		d.never++
		d.all = append(d.all, time.Since(a.at))
	}
	slices.Sort(d.all)
	if c.err != nil && !errors.Is(c.err, net.ErrClosed) {
		d.err = c.err
	}
	return d
}

// forget drops what was measured until now.
func (c *chat) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trips = nil
}

// quantile is the least delay that so many of all were not above: of 20, 19 are not above their p95.
func (d delays) quantile(q float64) time.Duration {
	if len(d.all) == 0 {
		return 0
	}
	return d.all[max(int(math.Ceil(q*float64(len(d.all))))-1, 0)]
}

func rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
