package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"culvert/test/ports"
)

// proxies compares bin/proxy with HAProxy as WhatsApp/proxy sets it, by turns. Each is one process, and leads to a farEnd.
type proxies struct {
	programs, dir string
	to            *farEnd
	window        time.Duration
	times, most   int
	rows          []string // in the order in which they were measured first
	values        map[string]map[string][]float64
}

// chatOpening is how an app's chat begins, by which bin/proxy knows it.
const chatOpening = "WA"

func runProxies(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("load proxies", flag.ContinueOnError)
	p := &proxies{values: map[string]map[string][]float64{}}
	f.StringVar(&p.programs, "programs", "bin", "`FOLDER` with proxy, built for this machine; haproxy is found by PATH")
	f.IntVar(&p.most, "most", 8900, "connections at rest, `N` at most; each takes two open files of either process")
	f.DurationVar(&p.window, "window", time.Second, "how long to measure each rate and each delay")
	f.IntVar(&p.times, "times", 3, "how often to measure each; the medians count")
	if err := f.Parse(args); err != nil {
		return err
	}
	if p.window <= 0 || p.times < 1 || p.most < 1 {
		return errors.New("-window, -times and -most are above 0")
	}
	return withProgramsIn(p.programs, func(g *gateway) error {
		p.dir = g.dir
		if err := p.run(ctx); err != nil {
			return err
		}
		return p.table(os.Stdout)
	})
}

func (p *proxies) run(ctx context.Context) (err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if p.to, err = newFarEnd(ctx); err != nil {
		return err
	}
	p.to.skip = len(chatOpening)
	both := []func(context.Context) (*relay, error){p.ours, p.metas}
	for range p.times {
		for _, begin := range both {
			r, err := begin(ctx)
			if err == nil {
				err = errors.Join(r.isReady(), p.measure(r))
			}
			r.end()
			if err = errors.Join(err, ctx.Err()); err != nil {
				return err
			}
		}
		slices.Reverse(both)
	}
	return nil
}

func (p *proxies) ours(ctx context.Context) (r *relay, err error) {
	r = &relay{name: "bin/proxy", says: chatOpening}
	r.at = ports.Loopback()
	env := []string{"CULVERT_PROXY_LISTEN=" + r.at, "CULVERT_UPSTREAM_CHAT=" + p.to.at(), "CULVERT_ALLOW_PRIVATE=true"}
	r.near, err = start(ctx, filepath.Join(p.dir, "proxy.log"), filepath.Join(p.programs, "proxy"), env)
	return r, err
}

// metas has the buffers and the time-outs of WhatsApp/proxy's settings, and of its ports the one for chat as it is.
func (p *proxies) metas(ctx context.Context) (r *relay, err error) {
	r = &relay{name: "HAProxy", says: chatOpening}
	r.at = ports.Loopback()
	path, err := exec.LookPath("haproxy")
	if err != nil {
		return r, err
	}
	settings := fmt.Sprintf("global\n tune.bufsize 4096\n maxconn %d\ndefaults\n mode tcp\n timeout client-fin 1s\n timeout server-fin 1s\n timeout connect 5s\n timeout client 200s\n timeout server 200s\nlisten chat\n bind %s\n server whatsapp %s\n",
		p.most+100, r.at, p.to.at())
	name := filepath.Join(p.dir, "haproxy.cfg")
	if err := os.WriteFile(name, []byte(settings), 0o600); err != nil {
		return r, err
	}
	r.near, err = start(ctx, filepath.Join(p.dir, "haproxy.log"), path, nil, "-db", "-f", name)
	return r, err
}

func (p *proxies) add(row string, r *relay, value float64) {
	if p.values[row] == nil {
		p.rows, p.values[row] = append(p.rows, row), map[string][]float64{}
	}
	p.values[row][r.name] = append(p.values[row][r.name], value)
}

func (p *proxies) measure(r *relay) error {
	for _, n := range []int{1, 64} {
		for way, up := range map[string]bool{"up": true, "down": false} {
			rate, cpu, err := speed(r, p.to, n, up, p.window)
			if err != nil {
				return err
			}
			p.add(fmt.Sprintf("streams at once, %d, %s, MB/s", n, way), r, rate)
			p.add(fmt.Sprintf("streams at once, %d, %s, CPU s/GB", n, way), r, cpu)
		}
	}
	took, _, err := chat(r, p.window, 0)
	if err != nil {
		return err
	}
	p.add("64 bytes and back, half within µs", r, part(took, 50))
	p.add("64 bytes and back, 99 of 100 within µs", r, part(took, 99))
	rate, cpu, err := connections(r, p.window)
	if err != nil {
		return err
	}
	p.add("connections a second, 16 at once", r, rate)
	p.add("connections, CPU for one, ms", r, cpu)
	numbers := slices.Compact([]int{min(2000, p.most), p.most})
	kib, err := held(r, numbers)
	for i, k := range kib {
		p.add(fmt.Sprintf("memory for one of %d chats at rest, KiB", numbers[i]), r, k)
	}
	return err
}

// table writes the medians as a table of Markdown.
func (p *proxies) table(w io.Writer) error {
	slices.Sort(p.rows)
	fmt.Fprintln(w, "| | bin/proxy | HAProxy |\n| --- | --- | --- |")
	for _, row := range p.rows {
		v := p.values[row]
		if _, err := fmt.Fprintf(w, "| %s | %s | %s |\n", row, figures(median(v["bin/proxy"])), figures(median(v["HAProxy"]))); err != nil {
			return err
		}
	}
	return nil
}

// figures are three of a number, without an exponent.
func figures(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}
