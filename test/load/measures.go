package main

import (
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// warm is how long bulk runs before it is measured.
const warm = 300 * time.Millisecond

// speed moves bytes by so many streams at once, and returns MB a second and CPU seconds a GB.
func speed(r *relay, to *farEnd, streams int, up bool, window time.Duration) (rate, cpu float64, err error) {
	b, err := startBulk(r, to, streams, up)
	defer b.stop(r)
	if err != nil {
		return 0, 0, err
	}
	time.Sleep(warm)
	began, bytes, used := time.Now(), b.got.Load(), r.cpu()
	time.Sleep(window)
	n, used := float64(b.got.Load()-bytes), r.cpu()-used
	if n <= 0 {
		return 0, 0, fmt.Errorf("%s moves nothing", r.name)
	}
	return n / 1e6 / time.Since(began).Seconds(), used / (n / 1e9), nil
}

// bulk is streams that move bytes one way without end.
type bulk struct {
	conns []net.Conn
	got   *atomic.Int64 // at the end that they lead to
}

func startBulk(r *relay, to *farEnd, streams int, up bool) (*bulk, error) {
	b := &bulk{got: &to.got}
	what := byte(toSink)
	if !up {
		what, b.got = toSource, new(atomic.Int64)
	}
	for range streams {
		c, err := r.open(what)
		if err != nil {
			return b, err
		}
		b.conns = append(b.conns, c)
		if up {
			go fill(c)
		} else {
			go count(c, b.got)
		}
	}
	return b, nil
}

// stop resets the streams, and waits until r rests: what is on its way would be counted to what is measured next.
func (b *bulk) stop(r *relay) {
	for _, c := range b.conns {
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	const look, most = 100 * time.Millisecond, 5 * time.Second
	for end := time.Now().Add(most); time.Now().Before(end); {
		before := r.cpu()
		time.Sleep(look)
		if r.cpu()-before <= look.Seconds()/10 {
			return
		}
	}
}

// chat says 64 bytes time and again, with a pause between, and returns how long each took in microseconds, from
// the shortest on, and the CPU time of one.
func chat(r *relay, lasts, pause time.Duration) (took []float64, cpu float64, err error) {
	c, err := r.open(toEcho)
	if err != nil {
		return nil, 0, err
	}
	defer c.Close()
	var b [64]byte
	if _, err := sixtyFour(c, &b); err != nil { // it makes the connection, too
		return nil, 0, err
	}
	used := r.cpu()
	for end := time.Now().Add(lasts); time.Now().Before(end); time.Sleep(pause) {
		one, err := sixtyFour(c, &b)
		if err != nil {
			return nil, 0, err
		}
		took = append(took, float64(one.Nanoseconds())/1e3)
	}
	slices.Sort(took)
	return took, (r.cpu() - used) * 1e6 / float64(len(took)), nil
}

// chatBeside is chat beside streams of bulk that come down, in milliseconds.
func chatBeside(r *relay, to *farEnd, streams int, lasts time.Duration) (half, p99 float64, err error) {
	b, err := startBulk(r, to, streams, false)
	defer b.stop(r)
	if err != nil {
		return 0, 0, err
	}
	time.Sleep(warm)
	took, _, err := chat(r, lasts, 5*time.Millisecond)
	return part(took, 50) / 1e3, part(took, 99) / 1e3, err
}

// part is the value that so many of a hundred do not exceed, of sorted ones.
func part(sorted []float64, hundredths int) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	return sorted[(len(sorted)*hundredths+99)/100-1]
}

// connections opens and closes connections by 16 at once, each of which says a byte. It returns how many a second and
// the milliseconds of CPU for one.
func connections(r *relay, lasts time.Duration) (rate, cpu float64, err error) {
	var made, failed atomic.Int64
	var all sync.WaitGroup
	began, used := time.Now(), r.cpu()
	for range 16 {
		all.Go(func() {
			for time.Since(began) < lasts {
				if r.echoes(5*time.Second) != nil {
					failed.Add(1)
					return
				}
				made.Add(1)
			}
		})
	}
	all.Wait()
	n := float64(made.Load())
	if failed.Load() > 0 || n == 0 {
		return 0, 0, fmt.Errorf("%s: %d workers could not connect", r.name, failed.Load())
	}
	return n / time.Since(began).Seconds(), (r.cpu() - used) * 1e3 / n, nil
}

// held opens connections that rest, to as many as each number says, and returns KiB of both ends for one of them then.
func held(r *relay, numbers []int) (kib []float64, err error) {
	before := r.memory()
	var all []net.Conn
	defer func() {
		for _, c := range all {
			c.Close()
		}
	}()
	for _, n := range numbers {
		for len(all) < n {
			c, err := r.open(toEcho)
			if err != nil {
				return nil, err
			}
			all = append(all, c)
			if err := say(c, 10*time.Second); err != nil {
				return nil, err
			}
		}
		time.Sleep(1500 * time.Millisecond) // buffers and stacks are given back
		kib = append(kib, float64(r.memory()-before)/float64(n))
	}
	return kib, nil
}

// cuts is how often a download's path is cut.
const cuts = 5

// errEnds means that a stream ended with its connection.
var errEnds = errors.New("the stream ends when its path is cut")

// stands is how many milliseconds a download stands still when all connections of its path are cut; the median of some.
func stands(r *relay) (float64, error) {
	c, err := r.open(toSource)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	came := make(chan time.Time, 1<<16)
	go func() {
		defer close(came)
		b := make([]byte, 256<<10)
		for {
			if _, err := c.Read(b); err != nil {
				return
			}
			came <- time.Now()
		}
	}()
	var all []float64
	for range cuts {
		if _, err := longest(came, time.Second); err != nil {
			return 0, err
		}
		r.path.cut()
		stood, err := longest(came, 3*time.Second)
		if err != nil {
			return 0, err
		}
		all = append(all, float64(stood.Microseconds())/1e3)
	}
	return median(all), nil
}

// longest is the longest time between two arrivals within a time.
func longest(came <-chan time.Time, within time.Duration) (most time.Duration, err error) {
	end, last := time.After(within), time.Time{}
	for {
		select {
		case at, is := <-came:
			if !is {
				return 0, errEnds
			}
			if !last.IsZero() {
				most = max(most, at.Sub(last))
			}
			last = at
		case <-end:
			if last.IsZero() {
				return 0, errors.New("nothing came")
			}
			return most, nil
		}
	}
}

// median leaves out what is NaN.
func median(all []float64) float64 {
	all = slices.DeleteFunc(slices.Clone(all), math.IsNaN)
	if len(all) == 0 {
		return math.NaN()
	}
	slices.Sort(all)
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}
