// Command invoke runs the functions of template.yaml with recorded events, in
// Docker as "sam local invoke" does or, where that is missing, in the
// emulator's runtime. Events are filled with tokens and tickets that are good
// now, and bin/origin runs behind the functions.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
)

const usage = `invoke runs a function with a recorded event:
  go run ./test/invoke Connect|Message|Disconnect EVENT   as infra/events/message.json
  go run ./test/invoke --all                              all events, checked
`

var (
	every   = flag.Bool("all", false, "run every function with every event and check the answers")
	samPath = flag.String("sam", "", "path of SAM's `command`; without it .venv-cloud/bin/sam or what PATH has")
	in      = flag.String("in", "", "`where`: docker or emulator; without it Docker if it runs")
)

func main() {
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), usage)
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "invoke:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	if err := checkArgs(); err != nil {
		return err
	}
	where, err := place(ctx)
	if err != nil {
		return err
	}
	defer where.close()
	o, err := startOrigin(ctx, where.host())
	if err != nil {
		return err
	}
	defer o.stop()
	if err := where.prepare(ctx, o.settings()); err != nil {
		return err
	}
	events := newFiller(o.keys, o.proof, o.at)
	if *every {
		return runAll(ctx, where, events)
	}
	return runOne(ctx, where, events, function(flag.Arg(0)), flag.Arg(1))
}

func checkArgs() error {
	switch f := function(flag.Arg(0)); {
	case *every && flag.NArg() == 0:
		return nil
	case *every || flag.NArg() != 2:
		flag.Usage()
		return errors.New("name a function and an event, as in: make invoke FN=Message EVENT=infra/events/message.json")
	case !slices.Contains(functions, f):
		return fmt.Errorf("%q is none of the functions %v", f, functions)
	}
	return nil
}

// runOne shows what a function logs and replies. A failure of the function is
// an answer, too.
func runOne(ctx context.Context, where runtime, events *filler, f function, path string) error {
	event, err := events.fill(path)
	if err != nil {
		return err
	}
	reply, log, err := where.invoke(ctx, f, event)
	os.Stderr.Write(log)
	if err != nil {
		return err
	}
	fmt.Printf("%s\n", reply)
	return nil
}
