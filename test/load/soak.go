package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"culvert/client"
	"culvert/internal/link"
	"culvert/internal/wire"
	"culvert/test/ports"
)

// soak is users who come and go at half load, by rounds: chat, media, apps that read slowly, clients that end without
// a word, and an edge that is killed. After each round nothing of it may be left in the origin and the edge.
type soak struct {
	scale
	round  time.Duration
	rounds int

	exchanges, bytes, clients atomic.Int64
	stood                     atomic.Int64 // for how long the machine stood still in this round
	mu                        sync.Mutex   // guards the following
	wrong                     error        // what was, in this round
}

// rest is what a process has between two rounds.
type rest struct {
	pss, goroutines, files int64
}

func runSoak(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("load soak", flag.ContinueOnError)
	programs := f.String("programs", "bin", "`FOLDER` with edge and origin, built for this machine")
	s := &soak{}
	f.IntVar(&s.n, "n", 40, "how many users at once")
	f.DurationVar(&s.round, "round", 5*time.Minute, "how long a round lasts")
	f.IntVar(&s.rounds, "rounds", 24, "how many rounds, 3 at least")
	if err := f.Parse(args); err != nil {
		return err
	}
	if s.n < 1 || s.round <= 0 || s.rounds < 3 {
		return errors.New("-n and -round are above 0, -rounds is 3 at least")
	}
	return withProgramsIn(*programs, func(g *gateway) error {
		s.gateway = g
		return s.run(ctx)
	})
}

func (s *soak) run(ctx context.Context) (err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go echoAll(ctx, ln)
	if err := s.startServers(ctx, ln.Addr().String()); err != nil {
		return err
	}
	defer s.end()
	go s.watchClock(ctx)
	var rests []map[string]rest
	for len(rests) < s.rounds {
		round := len(rests) + 1
		err := s.load(ctx)
		if err != nil && (s.stood.Load() == 0 || errors.Is(err, errAltered)) {
			return fmt.Errorf("round %d: %w", round, err)
		}
		now, err := s.settle(ctx)
		if stood := time.Duration(s.stood.Swap(0)); stood > 0 && ctx.Err() == nil {
			fmt.Printf("round %d is done again: this machine stood still for %v\n", round, stood.Round(time.Second))
			continue
		}
		if err != nil {
			return err
		}
		rests = append(rests, now)
		fmt.Printf("round %d: %d exchanges, %d MB, %d clients; at rest origin %v, edge %v\n", round, s.exchanges.Load(), s.bytes.Load()>>20,
			s.clients.Load(), now["origin"], now["edge"])
	}
	return flat(rests)
}

func (r rest) String() string {
	return fmt.Sprintf("%.1f MiB, %d goroutines, %d files", float64(r.pss)/1024, r.goroutines, r.files)
}

// startServers starts an origin that takes chat for WhatsApp's, and an edge, both with metrics.
func (s *soak) startServers(ctx context.Context, chat string) (err error) {
	s.admin, s.originAdmin, s.chatAt = ports.Loopback(), ports.Loopback(), chat
	return errors.Join(s.startStreamOrigin(ctx), s.startStreamEdge(ctx))
}

// load has all users at work for a round, and the edge killed in its middle.
func (s *soak) load(ctx context.Context) error {
	ctx, end := context.WithTimeout(ctx, s.round)
	defer end()
	var all sync.WaitGroup
	s.wrong = nil
	for i := range s.n {
		all.Go(func() {
			for ctx.Err() == nil {
				s.visit(ctx, uint32(i+1))
			}
		})
	}
	pause(ctx, s.round/2)
	s.edge.Process.Kill()
	<-s.edge.gone
	pause(ctx, time.Second)
	err := s.startStreamEdge(context.WithoutCancel(ctx))
	all.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(err, s.wrong)
}

// standstill is how late a timer is that shows that the whole machine stood still, as one that is suspended does: all that
// was open then is out of time at once, and says nothing about the programs.
const standstill = 15 * time.Second

// watchClock notes how long the machine stands still.
func (s *soak) watchClock(ctx context.Context) {
	const tick = time.Second
	for last := time.Now(); ctx.Err() == nil; {
		pause(ctx, tick)
		now := time.Now()
		if late := now.Sub(last) - tick; late > standstill {
			s.stood.Add(int64(late))
		}
		last = now
	}
}

// visit is a client that comes, is used some times with as long a pause after each, and ends.
func (s *soak) visit(ctx context.Context, user uint32) {
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	front := link.Front{Host: s.edgeAt, Path: "/", Pins: []link.Pin{s.pin}}
	c, err := client.New(client.Config{
		Link: &link.Link{Keys: s.master.Client(user), Fronts: []link.Front{front}}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		s.fail(err)
		return
	}
	var done sync.WaitGroup
	done.Go(func() { c.Run(running) })
	defer func() { end(); done.Wait() }()
	s.clients.Add(1)
	for range 1 + rand.N(6) {
		began := time.Now()
		if ctx.Err() != nil {
			return
		}
		if err := s.exchange(c); err != nil {
			s.fail(fmt.Errorf("user %d: %w", user, err))
			return
		}
		pause(ctx, time.Since(began))
	}
}

func (s *soak) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong = errors.Join(s.wrong, err)
}

// errAltered is what no machine that stands still explains.
var errAltered = errors.New("bytes came back altered")

// exchangeWithin bounds an exchange, an edge's death among it.
const exchangeWithin = 45 * time.Second

// exchange sends bytes that come back, and looks at each: a message mostly, sometimes media, sometimes by an app that
// takes them slowly.
func (s *soak) exchange(c *client.Client) error {
	size, nap := 1+rand.N(4<<10), time.Duration(0)
	switch rand.N(8) {
	case 0:
		size = 256<<10 + rand.N(2<<20)
	case 1:
		size, nap = 256<<10+rand.N(256<<10), 20*time.Millisecond
	}
	conn := c.Dial(wire.Service{Kind: wire.Chat})
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(exchangeWithin))
	seed := rand.Uint64()
	sent := make(chan error, 1)
	go func() { _, err := io.CopyN(conn, pattern(seed), int64(size)); sent <- err }()
	want, b, got := pattern(seed), make([]byte, 16<<10), 0
	for got < size {
		n, err := conn.Read(b[:min(len(b), size-got)])
		expected := make([]byte, n)
		io.ReadFull(want, expected)
		switch got += n; {
		case !bytes.Equal(b[:n], expected):
			return fmt.Errorf("before %d of %d: %w", got, size, errAltered)
		case err != nil:
			return fmt.Errorf("after %d of %d bytes: %w", got, size, err)
		}
		time.Sleep(nap)
	}
	s.exchanges.Add(1)
	s.bytes.Add(2 * int64(size))
	return <-sent
}

func pattern(seed uint64) io.Reader {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	return rand.NewChaCha8(key)
}

// settleWithin is how long the servers may take to let go of a round, and of the memory that it took.
const settleWithin = 40 * time.Second

// settle waits until neither server has a socket more, and their files get no fewer. An origin may have some tunnels of
// clients that ended before their last word was out: it holds each for three minutes, as it should, so these are left
// out, and more than one a user are wrong.
func (s *soak) settle(ctx context.Context) (map[string]rest, error) {
	fewest := map[string]rest{}
	for end := time.Now().Add(settleWithin); ; pause(ctx, time.Second) {
		origin, edge := metricsOf(s.originAdmin), metricsOf(s.admin)
		held := origin["culvert_tunnels"]
		open := origin["culvert_carriers"] + edge["culvert_edge_sockets"] + max(0, held-int64(s.n))
		now := map[string]rest{
			"origin": {pss(s.origin.Process.Pid), origin["go_goroutines"], origin["process_open_fds"] - held},
			"edge":   {pss(s.edge.Process.Pid), edge["go_goroutines"], edge["process_open_fds"]},
		}
		hasRested := open == 0 && fewest["origin"] != rest{} && now["origin"].files >= fewest["origin"].files && now["edge"].files >= fewest["edge"].files
		if fewest = now; hasRested {
			return now, ctx.Err()
		}
		if time.Now().After(end) || ctx.Err() != nil {
			return nil, fmt.Errorf("%d carriers and sockets, or tunnels, are left of a round: origin %v, edge %v", open, now["origin"], now["edge"])
		}
	}
}

// metricsOf are the values without labels at an admin listener.
func metricsOf(admin string) map[string]int64 {
	all := map[string]int64{}
	for line := range strings.Lines(metricsText(admin)) {
		var name string
		var value float64
		if _, err := fmt.Sscan(line, &name, &value); err == nil {
			all[name] = int64(value)
		}
	}
	return all
}

// What may be more at the end than after the first rounds, in which pools fill and secrets are made: a few of each, as
// connections between edge and origin are kept for a while, and what the collector has not returned.
const (
	moreGoroutines = 12
	moreFiles      = 12
	moreMemory     = 8 << 10 // KiB, beside a quarter
)

// flat compares the last round with the second, of the origin, which is one process all the time. The edge is a new
// one in each round: the most of any is compared with the least.
func flat(rests []map[string]rest) error {
	grown := func(name string, first, last rest) error {
		if last.goroutines > first.goroutines+moreGoroutines || last.files > first.files+moreFiles || last.pss > first.pss*5/4+moreMemory {
			return fmt.Errorf("%s grows: %v, and later %v", name, first, last)
		}
		return nil
	}
	first, last := rests[1], rests[len(rests)-1]
	return errors.Join(grown("origin", first["origin"], last["origin"]), grown("edge", first["edge"], last["edge"]))
}

// startStreamOrigin starts an origin for the stream door alone.
func (s *scale) startStreamOrigin(ctx context.Context) (err error) {
	env := []string{"CULVERT_LISTEN=" + s.originAt, "CULVERT_ADMIN_LISTEN=" + s.originAdmin, "CULVERT_SECRET_FILE=" + s.file("secret"),
		"CULVERT_GATE_FILE=" + s.file("gate"), "CULVERT_UPSTREAM_CHAT=" + s.chatAt, "CULVERT_ALLOW_PRIVATE=true"}
	if s.origin, err = start(ctx, s.file("origin.log"), filepath.Join(s.programs, "origin"), env); err != nil {
		return err
	}
	return s.origin.listens(ctx, s.originAt)
}
