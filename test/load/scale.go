package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"culvert/client"
	"culvert/internal/link"
	"culvert/internal/wire"
	"culvert/test/ports"
)

// scale is many whole clients, each with one chat, by an edge with TLS to an origin: what they cost when they have
// just been active and when they rest, and how long they take to come back after the edge was killed.
type scale struct {
	*gateway
	n      int
	rest   time.Duration
	hold   time.Duration
	target *program
	chatAt string
	admin  string // of the edge

	originAdmin string
	users       []net.Conn
}

// collectClients has the collector run rarely in this process, that of all clients: each phone collects its own heap,
// which is small, and nobody's else.
const collectClients = 400

func runScale(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("load scale", flag.ContinueOnError)
	programs := f.String("programs", "bin", "`FOLDER` with edge and origin, built for this machine")
	s := &scale{}
	f.IntVar(&s.n, "n", 1000, "how many clients; each takes two open files of this process, of the edge and of the origin")
	f.DurationVar(&s.hold, "hold", 55*time.Second, "how long to measure what clients cost that were active at its beginning")
	f.DurationVar(&s.rest, "rest", 0, "how long clients rest before; after 90s their connections have shown that nobody cuts them, and are asked more rarely")
	kill := f.Bool("kill", true, "kill the edge in the end, and measure how all come back")
	if err := f.Parse(args); err != nil {
		return err
	}
	if s.n < 1 || s.hold <= 0 || s.rest < 0 {
		return errors.New("-n and -hold are above 0, and -rest is not below")
	}
	debug.SetGCPercent(collectClients)
	return withProgramsIn(*programs, func(g *gateway) error {
		s.gateway = g
		return s.run(ctx, *kill)
	})
}

func (s *scale) run(ctx context.Context, kill bool) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if err := s.startAll(ctx); err != nil {
		return err
	}
	defer func() { s.end(); s.target.end() }()
	originBefore, edgeBefore := pss(s.origin.Process.Pid), pss(s.edge.Process.Pid)
	end, err := s.connect(ctx)
	defer end()
	if err != nil {
		return err
	}
	pause(ctx, s.rest)
	if err := s.active(ctx); err != nil {
		return err
	}
	perClient := func(p *program, before int64) float64 { return float64(pss(p.Process.Pid)-before) / float64(s.n) }
	fmt.Printf("memory of a client that rests: edge %.1f KiB, origin %.1f KiB\n", perClient(s.edge, edgeBefore), perClient(s.origin, originBefore))
	if kill {
		return s.restart(ctx)
	}
	return nil
}

func (s *scale) startAll(ctx context.Context) (err error) {
	s.chatAt, s.admin, s.originAdmin = ports.Loopback(), ports.Loopback(), ports.Loopback()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if s.target, err = start(ctx, s.file("target.log"), self, nil, "target", s.chatAt); err != nil {
		return err
	}
	return errors.Join(s.target.listens(ctx, s.chatAt), s.startStreamOrigin(ctx), s.startStreamEdge(ctx))
}

func (s *scale) startStreamEdge(ctx context.Context) (err error) {
	env := []string{"CULVERT_LISTEN=" + s.edgeAt, "CULVERT_ADMIN_LISTEN=" + s.admin, "CULVERT_ORIGIN=http://" + s.originAt,
		"CULVERT_TLS_CERT=" + s.file("cert.pem"), "CULVERT_TLS_KEY=" + s.file("key.pem"), "CULVERT_PROXIES=127.0.0.1"}
	if s.edge, err = start(ctx, s.file("edge.log"), filepath.Join(s.programs, "edge"), env); err != nil {
		return err
	}
	return s.edge.listens(ctx, s.edgeAt)
}

// connect has each client open a chat that is answered, some at a time.
func (s *scale) connect(ctx context.Context) (end func(), err error) {
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	end = func() { stop(); running.Wait() }
	began := time.Now()
	s.users = make([]net.Conn, s.n)
	next, failed := make(chan int), make(chan error, 1)
	var opening sync.WaitGroup
	for range 16 {
		opening.Go(func() {
			for i := range next {
				if err := s.open(ctx, i, &running); err != nil {
					select {
					case failed <- fmt.Errorf("client %d: %w", i, err):
					default:
					}
				}
			}
		})
	}
	for i := range s.n {
		next <- i
	}
	close(next)
	opening.Wait()
	select {
	case err = <-failed:
	default:
		fmt.Printf("%d clients in %.1f s\n", s.n, time.Since(began).Seconds())
	}
	return end, err
}

func (s *scale) open(ctx context.Context, i int, running *sync.WaitGroup) error {
	front := link.Front{Host: s.edgeAt, Path: "/", Pins: []link.Pin{s.pin}}
	c, err := client.New(client.Config{
		Link: &link.Link{Keys: s.master.Client(uint32(i + 1)), Fronts: []link.Front{front}}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	running.Go(func() { c.Run(ctx) })
	s.users[i] = c.Dial(wire.Service{Kind: wire.Chat})
	return say(s.users[i], 30*time.Second)
}

// say sends a byte and waits until it is back.
func say(c net.Conn, within time.Duration) error {
	c.SetDeadline(time.Now().Add(within))
	if _, err := c.Write([]byte("x")); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 1))
	return err
}

// sayAll has every client say something, one after the other over so long or all at once, and returns when each was
// answered, from the first on.
func (s *scale) sayAll(over, within time.Duration) ([]time.Duration, error) {
	began, took := time.Now(), make([]time.Duration, s.n)
	var all sync.WaitGroup
	var mu sync.Mutex
	var failed []error
	for i, c := range s.users {
		all.Go(func() {
			time.Sleep(over * time.Duration(i) / time.Duration(s.n))
			err := say(c, within)
			mu.Lock()
			defer mu.Unlock()
			if took[i] = time.Since(began); err != nil {
				failed = append(failed, err)
			}
		})
	}
	all.Wait()
	slices.Sort(took)
	if len(failed) > 0 {
		return took, fmt.Errorf("%d of %d clients are not answered: %w", len(failed), s.n, failed[0])
	}
	return took, nil
}

// sayOver is for how long clients begin to say something: thousands in the same moment would be doubted for the time that
// their answers take, and dial again.
const sayOver = 5 * time.Second

// active measures what clients cost that have said something, and say nothing more.
func (s *scale) active(ctx context.Context) error {
	if _, err := s.sayAll(sayOver, 30*time.Second); err != nil {
		return err
	}
	pause(ctx, 2*time.Second) // for acks
	edge, origin := cpuSeconds(s.edge.Process.Pid), cpuSeconds(s.origin.Process.Pid)
	pause(ctx, s.hold)
	of := func(p *program, before float64) float64 {
		return (cpuSeconds(p.Process.Pid) - before) / s.hold.Seconds() * 100
	}
	fmt.Printf("CPU of clients that were active within a minute: edge %.1f %%, origin %.1f %% of a core\n", of(s.edge, edge), of(s.origin, origin))
	return ctx.Err()
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// away is for how long a killed edge is gone.
const away = 2 * time.Second

// restart kills the edge, starts another after a moment, and waits until every client is answered, by the connections
// that its app has.
func (s *scale) restart(ctx context.Context) error {
	s.edge.Process.Kill()
	<-s.edge.gone
	type answers struct {
		took []time.Duration
		err  error
	}
	said := make(chan answers, 1)
	go func() {
		took, err := s.sayAll(0, 2*time.Minute)
		said <- answers{took, err}
	}()
	pause(ctx, away)
	origin, own := cpuSeconds(s.origin.Process.Pid), cpuSeconds(os.Getpid())
	if err := s.startStreamEdge(ctx); err != nil {
		return err
	}
	a := <-said
	if a.err != nil {
		return a.err
	}
	after := func(part int) float64 { return (a.took[(s.n-1)*part/100] - away).Seconds() }
	fmt.Printf("edge killed, and begun again after %v: from then on served after %.1f s (1 %%), %.1f s (half), %.1f s (all); %s WebSockets for %d clients\n",
		away, after(1), after(50), after(100), s.opened(), s.n)
	fmt.Printf("CPU meanwhile, a client: edge %.2f ms, origin %.2f ms, clients %.2f ms\n", cpuSeconds(s.edge.Process.Pid)*1000/float64(s.n),
		(cpuSeconds(s.origin.Process.Pid)-origin)*1000/float64(s.n), (cpuSeconds(os.Getpid())-own)*1000/float64(s.n))
	return nil
}

// opened is how many sockets the edge has opened since it started, as it says.
func (s *scale) opened() string {
	return fmt.Sprint(metricsOf(s.admin)["culvert_edge_sockets_opened_total"])
}

// metricsText is what an admin listener says; nothing if it does not answer.
func metricsText(admin string) string {
	answer, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		return ""
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	return string(text)
}
