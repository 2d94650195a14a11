// Command shape asks what somebody who sees no more of a connection than sizes, directions and times can tell. It
// captures sessions of Culvert, run as people run it, and of chat pages in a real Chromium, all of them WebSockets
// behind the same nginx, and writes for each connection what its first TLS records after the WebSocket's upgrade were.
// classify.py learns from one half of that to tell the two apart, and says how well it does with the other.
//
// The handshake of TLS and the request for the WebSocket are left out: what a client says there is another question.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

// options say how much is captured, and of what.
type options struct {
	bin      string        // folder with culvert and origin
	out      string        // file for what was captured
	chromium string        // program
	pages    string        // file of what was captured before, of which the pages are taken; empty: they are visited
	web      string        // folder of web's server and pages, with what they need; empty: sites of libraries are left out
	users    int           // of Culvert, and as many chat sites
	each     int           // sessions of each user and at each site
	parallel int           // sessions at once, of either kind
	lasts    time.Duration // how long a session is watched
	seed     uint64
}

func main() {
	var o options
	flag.StringVar(&o.bin, "bin", "bin", "folder with culvert and origin")
	flag.StringVar(&o.out, "out", "shape.jsonl", "`FILE` for what was captured")
	flag.StringVar(&o.chromium, "chromium", "chromium", "`PROGRAM` that visits chat pages")
	flag.StringVar(&o.pages, "pages", "", "`FILE` captured before: its pages are judged again, and Culvert alone is captured anew")
	flag.StringVar(&o.web, "web", "", "`FOLDER` with server.js, what it needs and pages, for sites of other people's libraries")
	flag.IntVar(&o.users, "users", 60, "users of Culvert, and chat sites")
	flag.IntVar(&o.each, "each", 5, "sessions of each user, and at each site")
	flag.IntVar(&o.parallel, "parallel", 20, "sessions at once, of either kind")
	flag.DurationVar(&o.lasts, "lasts", 15*time.Second, "how long a session is watched")
	flag.Uint64Var(&o.seed, "seed", 1, "what sites and sessions are drawn by")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "shape:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	w, err := newWorld(ctx, o)
	defer w.close()
	if err != nil {
		return err
	}
	visits := make(chan error, 1)
	go func() { visits <- w.captureAll(ctx) }()
	err = w.useAll(ctx)
	if also := <-visits; err == nil {
		err = also
	}
	if err != nil {
		return err
	}
	return w.log.write(o.out)
}
