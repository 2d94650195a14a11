// Command load puts load on processes of this machine, and on no other.
//
// "load clients" holds many separate clients, each with one chat, against an
// origin and says what each costs it:
//
//	load target 127.0.0.1:9001 &                                  # what the origin takes for WhatsApp
//	CULVERT_LISTEN=127.0.0.1:9000 CULVERT_UPSTREAM_CHAT=127.0.0.1:9001 CULVERT_ALLOW_PRIVATE=true \
//	  CULVERT_SECRET_FILE=secret bin/origin &
//	load clients -origin 127.0.0.1:9000 -secret-file secret -pid $! -n 9800
//
// .ci/idle does this, also with several origins behind HAProxy.
//
// The origin listens on plain HTTP, as behind a CDN. It reaches loopback
// addresses only. Linux: memory is PSS from /proc.
//
// "load rate" and "load chaos" start the gateway door themselves, as processes:
// the one measures what small messages at a steady rate cost, the other wants
// every byte once while functions are killed. .ci/gateway builds what they need.
//
// "load scale" starts an origin and an edge with TLS, and holds whole clients, each with one chat: what they cost, and
// how they come back after the edge was killed. "load beside" measures Culvert's two ends beside two of "load copy", a
// relay from TCP to TLS and back without a protocol, by turns. "load proxies" does so with bin/proxy and HAProxy. "load soak" has users come and go by the same programs, round after
// round, and wants every byte, and nothing that is left or grows.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"culvert/internal/seal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 2 && args[0] == "target" {
		return target(ctx, args[1])
	}
	modes := map[string]func(context.Context, []string) error{"clients": clients, "rate": runRate, "chaos": runChaos, "scale": runScale, "soak": runSoak,
		"beside": runBeside, "proxies": runProxies, "copy": runCopy}
	if len(args) > 0 && modes[args[0]] != nil {
		return modes[args[0]](ctx, args[1:])
	}
	return errors.New("usage: load target HOST:PORT, or one of clients, beside, proxies, scale, soak, rate and chaos with --help")
}

// target echoes whatever it is sent.
func target(ctx context.Context, address string) error {
	if err := loopback(address); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	echoAll(ctx, ln)
	return nil
}

// echoAll serves until ctx ends.
func echoAll(ctx context.Context, ln net.Listener) {
	context.AfterFunc(ctx, func() { ln.Close() })
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go echo(c)
	}
}

func echo(c net.Conn) {
	defer c.Close()
	var b [256]byte
	for {
		n, err := c.Read(b[:])
		if err != nil {
			return
		}
		if _, err := c.Write(b[:n]); err != nil {
			return
		}
	}
}

func loopback(address string) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil || !a.Addr().IsLoopback() {
		return fmt.Errorf("%q is not a loopback address with a port: load is for this machine only", address)
	}
	return nil
}

func clients(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("load clients", flag.ContinueOnError)
	origin := f.String("origin", "127.0.0.1:9000", "`ADDR` of the origin's plain-HTTP door; several, with commas between, are taken by turns")
	secret := f.String("secret-file", "", "`FILE` with the origin's master secret")
	pid := f.String("pid", "", "process `ID` of the origin, to read its memory; several, with commas between, are a fleet's")
	n := f.Int("n", 1000, "how many clients")
	hold := f.Duration("hold", 10*time.Second, "how long to stay idle before the memory is read")
	if err := f.Parse(args); err != nil {
		return err
	}
	doors := strings.Split(*origin, ",")
	for _, door := range doors {
		if err := loopback(door); err != nil {
			return err
		}
	}
	text, err := os.ReadFile(*secret)
	if err != nil {
		return err
	}
	master, err := seal.ParseMaster(string(text))
	if err != nil {
		return err
	}
	origins, err := processes(*pid)
	if err != nil {
		return err
	}
	before := origins.memory()
	began := time.Now()
	all, err := openAll(ctx, doors, master, *n)
	defer closeAll(all)
	if err != nil {
		return fmt.Errorf("after %d clients: %w", len(all), err)
	}
	fmt.Printf("%d clients in %.1f s\n", len(all), time.Since(began).Seconds())
	cpu := origins.cpu()
	select {
	case <-ctx.Done():
	case <-time.After(*hold):
	}
	fmt.Printf("origin: %.1f KiB a client, idle CPU %.2f %%\n", float64(origins.memory()-before)/float64(len(all)),
		(origins.cpu()-cpu)/hold.Seconds()*100)
	return nil
}

// pids are processes that are looked at together.
type pids []int

func processes(text string) (all pids, err error) {
	for word := range strings.SplitSeq(text, ",") {
		pid, err := strconv.Atoi(word)
		if err != nil {
			return nil, fmt.Errorf("-pid %q: give process IDs with commas between", text)
		}
		all = append(all, pid)
	}
	return all, nil
}

func (p pids) memory() (sum int64) {
	for _, pid := range p {
		sum += pss(pid)
	}
	return sum
}

func (p pids) cpu() (sum float64) {
	for _, pid := range p {
		sum += cpuSeconds(pid)
	}
	return sum
}

// openAll opens n clients, 32 at a time, at each of doors in turn.
func openAll(ctx context.Context, doors []string, m seal.Master, n int) ([]io.Closer, error) {
	var mu sync.Mutex
	var all []io.Closer
	var failed error
	var group sync.WaitGroup
	work := make(chan uint32)
	for range 32 {
		group.Go(func() {
			for user := range work {
				c, err := open(ctx, doors[int(user)%len(doors)], m.Client(user))
				mu.Lock()
				if err != nil {
					failed = err
				} else {
					all = append(all, c)
				}
				mu.Unlock()
			}
		})
	}
	for user := range n {
		mu.Lock()
		stop := failed != nil
		mu.Unlock()
		if stop {
			break
		}
		work <- uint32(user + 1)
	}
	close(work)
	group.Wait()
	return all, failed
}

func closeAll(all []io.Closer) {
	for _, c := range all {
		c.Close()
	}
}
