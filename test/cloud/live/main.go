//go:build linux

// Program live runs what a stack holds: it is told by the stand-in for
// CloudFormation of each part as it is made, changed or removed, and runs the
// very code, settings and secrets that it finds there. Functions run behind
// API Gateway's emulator, the gate in the engine that CloudFront's is made of,
// the origin as a document of Systems Manager installs it on a machine.
// WhatsApp's stand-in is behind it all, at WhatsApp's names.
//
// Nothing that runs is told that it is in a test. What cannot be here is
// replaced around it, in namespaces that .ci/cloud makes: names in /etc/hosts,
// certificate authorities, and addresses of the loopback interface.
//
//	live serve FOLDER          serves until it is killed
//	live app LINK KEY [again]  does what the app does through "culvert connect", until SIGTERM
//	live evaluate              renders templates for the stand-in, see cloudformation.Serve
//	systemctl, journalctl …    what a machine's scripts call, by these names
//	aws …                      the AWS command line, by this name; see preloaded.py
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"culvert/test/cloud/cloudformation"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "live:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch name := filepath.Base(args[0]); {
	case name == "systemctl", name == "journalctl":
		return callSystem(ctx, name, args[1:])
	case name == "aws":
		return callAWS(args[1:])
	case len(args) == 2 && args[1] == "evaluate":
		return cloudformation.Serve(os.Stdin, os.Stdout)
	case len(args) == 3 && args[1] == "serve":
		return serve(ctx, args[2])
	case len(args) == 4 && args[1] == "app":
		return runApp(ctx, args[2], args[3], false)
	case len(args) == 5 && args[1] == "app" && args[4] == "again":
		return runApp(ctx, args[2], args[3], true)
	}
	return errors.New("usage: live serve FOLDER | live app LINK KEY [again] | live evaluate")
}
