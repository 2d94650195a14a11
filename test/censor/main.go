//go:build linux

// Command censor is a censor of our own. It runs the programs as people run them
// between two network namespaces of this machine, with nginx and HAProxy as CDNs,
// lets the path between them freeze, starve, count and die by rule (package
// network), and prints what apps met beside what is wanted:
//
//	make build && go build -o bin/censor ./test/censor
//	bin/censor                 # all rows
//	bin/censor -list
//	bin/censor freeze15-chat   # rows whose names begin so
//	bin/censor beside-150-20   # chat beside transfers: at 150 ms, frozen after 20 kB
//	bin/censor -short -check   # what .ci/censor does
//
// It needs root. Whatever it starts and makes lives in namespaces that end with
// it, however it ends, and that no other run sees.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	bin      string
	short    bool
	check    bool
	list     bool
	verbose  bool
	parallel int
	seed     uint64
	rows     []string
}

func main() {
	o := parse()
	if o.list {
		for _, r := range rows(o.seed) {
			fmt.Printf("%-24s %s\n", r.name, r.what)
		}
		return
	}
	code, err := sandboxed(func() (int, error) { return run(o) })
	if err != nil {
		fmt.Fprintln(os.Stderr, "censor:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func parse() options {
	var o options
	flag.StringVar(&o.bin, "bin", "bin", "`DIR` with culvert, origin and local")
	flag.BoolVar(&o.short, "short", false, "only some rows, and less of each")
	flag.BoolVar(&o.check, "check", false, "exit with 1 if a byte was lost or a row could not run and, but for -short, if one missed that is known to be met")
	flag.BoolVar(&o.list, "list", false, "list the rows, and end")
	flag.BoolVar(&o.verbose, "v", false, "show what the programs printed, and all connections")
	flag.IntVar(&o.parallel, "parallel", 2*runtime.NumCPU(), "rows at once; they mostly wait")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().Unix()), "draws the censors of the random rows")
	flag.Parse()
	o.rows = flag.Args()
	return o
}

// run runs the rows that were asked for and prints the table.
func run(o options) (code int, err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if o.bin, err = filepath.Abs(o.bin); err != nil {
		return 1, err
	}
	for _, name := range []string{"culvert", "origin", "local"} {
		if _, err := os.Stat(filepath.Join(o.bin, name)); err != nil {
			return 1, fmt.Errorf("%w; make build makes it", err)
		}
	}
	wanted := choose(o)
	if len(wanted) == 0 {
		return 1, errors.New("no row has such a name; -list shows all")
	}
	trials := runAll(ctx, wanted, o)
	printTable(os.Stdout, trials)
	if ctx.Err() != nil {
		return 1, errors.New("interrupted")
	}
	if o.check && !holds(os.Stdout, trials, !o.short) {
		return 1, nil
	}
	return 0, nil
}

// choose are the rows whose names begin as asked, or all.
func choose(o options) (some []row) {
	for _, r := range rows(o.seed) {
		if o.short && !r.short && len(o.rows) == 0 {
			continue
		}
		asked := len(o.rows) == 0
		for _, name := range o.rows {
			asked = asked || strings.HasPrefix(r.name, name)
		}
		if asked {
			some = append(some, r)
		}
	}
	for _, name := range o.rows {
		if r, is := besideRow(name); is && !slices.Contains(besides, name) {
			some = append(some, r)
		}
	}
	return some
}
