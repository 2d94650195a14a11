// Culvert carries the unmodified WhatsApp app's connections under whatever
// blocks their way. This program is what people run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const about = "Culvert carries the unmodified WhatsApp app's connections under whatever blocks\ntheir way."

// command is one word of the command line.
type command struct {
	name, summary string
	run           func(ctx context.Context, args []string, stdout, stderr io.Writer) error
}

var commands = []command{
	{"up", "run the whole relay on this machine, to try it", runUp},
	{"connect", "take the app's connections and carry them to the origin", runConnect},
	{"doctor", "say how far connections come, and what to try", runDoctor},
	{"link", "make and read links, which users are handed", runLink},
	{"cost", "say what a month on AWS costs", runCost},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // from then on a signal ends us at once
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program: its exit code is 0 when all went well or help was asked
// for, 2 when the command line is wrong, 1 for everything else.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	err := dispatch(ctx, "culvert", about, commands, args, stdout, stderr)
	var usage usageError
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "culvert: %v\nTry: %s --help\n", err, usage.command)
		return 2
	default:
		fmt.Fprintf(stderr, "culvert: %v\n", err)
		return 1
	}
}
