package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"culvert/client"
	"culvert/internal/wire"
)

// rate is clients that exchange small messages at a steady rate.
type rate struct {
	*gateway
	clients int
	perSec  int           // exchanges of all clients together
	hold    time.Duration // that is measured
}

// warmUp is how long the exchanges go on before they are measured.
const warmUp = 2 * time.Second

// messageLen is about a ping of the app's.
const messageLen = 64

func runRate(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("load rate", flag.ContinueOnError)
	programs := f.String("programs", "bin", "`FOLDER` with origin, edge and lambda/*/bootstrap, built for this machine")
	t := &rate{}
	f.IntVar(&t.clients, "n", 100, "how many clients")
	f.IntVar(&t.perSec, "rate", 1000, "messages a second of all clients together; each is answered")
	f.DurationVar(&t.hold, "hold", 10*time.Second, "how long to measure")
	if err := f.Parse(args); err != nil {
		return err
	}
	if t.clients < 1 || t.perSec < 1 || t.hold <= 0 {
		return errors.New("-n, -rate and -hold are 1 at least")
	}
	return withGateway(*programs, func(g *gateway) error {
		t.gateway = g
		return t.run(ctx)
	})
}

func (t *rate) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer t.end()
	upstream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go echoAll(ctx, upstream)
	at := upstream.Addr().String()
	if err := t.startOrigin(ctx, at, at); err != nil {
		return err
	}
	if err := t.startEdge(ctx); err != nil {
		return err
	}
	users, end, err := t.connect(ctx)
	defer end()
	if err != nil {
		return err
	}
	trips, spent, err := t.measure(users)
	if err != nil {
		return err
	}
	t.tell(trips, spent)
	t.edge.end()
	return t.tellUse()
}

// connect opens a connection for each client and lets it answer once.
func (t *rate) connect(ctx context.Context) (users []net.Conn, end func(), err error) {
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	end = func() { stop(); running.Wait() }
	for i := range t.clients {
		c, err := client.New(client.Config{Link: t.link(uint32(i + 1))})
		if err != nil {
			return nil, end, err
		}
		running.Go(func() { c.Run(ctx) })
		conn := c.Dial(wire.Service{Kind: wire.Chat})
		users = append(users, conn)
		conn.SetDeadline(time.Now().Add(30 * time.Second))
		if _, err := trip(conn, time.Now()); err != nil {
			return nil, end, fmt.Errorf("client %d: %w", i, err)
		}
	}
	return users, end, nil
}

// trip sends a message and says how long after due its answer is here.
func trip(c net.Conn, due time.Time) (time.Duration, error) {
	var msg, got [messageLen]byte
	rand.Read(msg[:])
	if _, err := c.Write(msg[:]); err != nil {
		return 0, err
	}
	if _, err := io.ReadFull(c, got[:]); err != nil {
		return 0, err
	}
	if !bytes.Equal(got[:], msg[:]) {
		return 0, errors.New("a message came back altered")
	}
	return time.Since(due), nil
}

// spent is CPU time in seconds, and the time it was spent in.
type spent struct {
	functions, origin float64
	took              time.Duration
}

func (t *rate) spent(since time.Time) spent {
	return spent{childSeconds(t.edge.Process.Pid), cpuSeconds(t.origin.Process.Pid), time.Since(since)}
}

// measure lets all clients talk, and counts when they are warm.
func (t *rate) measure(users []net.Conn) (trips []time.Duration, s spent, err error) {
	begin := time.Now().Add(warmUp)
	end := begin.Add(t.hold)
	period := time.Duration(t.clients) * time.Second / time.Duration(t.perSec)
	var all sync.WaitGroup
	each, errs := make([][]time.Duration, len(users)), make([]error, len(users))
	for i, c := range users {
		c.SetDeadline(end.Add(30 * time.Second))
		first := begin.Add(-warmUp + period*time.Duration(i)/time.Duration(len(users)))
		all.Go(func() { each[i], errs[i] = talk(c, first, begin, end, period) })
	}
	time.Sleep(time.Until(begin))
	before := t.spent(begin)
	all.Wait()
	after := t.spent(begin)
	s = spent{after.functions - before.functions, after.origin - before.origin, after.took}
	if trips = slices.Concat(each...); len(trips) == 0 {
		errs = append(errs, errors.New("no message was due: a larger -rate or -hold is needed"))
	}
	return trips, s, errors.Join(errs...)
}

// talk sends a message each period and returns the times of those that were due
// from begin on. One that is late is sent at once: its time counts from when it
// was due.
func talk(c net.Conn, first, begin, end time.Time, period time.Duration) (trips []time.Duration, err error) {
	for due := first; due.Before(end); due = due.Add(period) {
		time.Sleep(time.Until(due))
		took, err := trip(c, due)
		if err != nil {
			return nil, err
		}
		if !due.Before(begin) {
			trips = append(trips, took)
		}
	}
	return trips, nil
}

func (t *rate) tell(trips []time.Duration, s spent) {
	slices.Sort(trips)
	n := float64(len(trips))
	at := func(percent int) time.Duration {
		return trips[(len(trips)-1)*percent/100].Round(10 * time.Microsecond)
	}
	fmt.Printf("%d clients through API Gateway's emulator, functions and origin as processes; %d messages a second wanted each way\n", t.clients, t.perSec)
	fmt.Printf("  reached: %.0f messages a second up, and as many down, for %.1f s\n", n/s.took.Seconds(), s.took.Seconds())
	fmt.Printf("  there and back, from when it was due: p50 %v, p99 %v, longest %v\n", at(50), at(99), at(100))
	perSec := func(cpu float64) float64 { return cpu / n * 1000 }
	fmt.Printf("  cores at 1,000 messages a second each way: %.2f functions + %.2f origin = %.2f (goal: less than 1)\n",
		perSec(s.functions), perSec(s.origin), perSec(s.functions+s.origin))
}

// tellUse says what the edge has metered, the warming up included.
func (t *rate) tellUse() error {
	u, err := t.use()
	if err != nil {
		return err
	}
	fmt.Printf("  metered in all: %d messages, %d invocations\n", u.Messages, u.Invocations)
	return nil
}
