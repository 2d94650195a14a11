package main

import (
	"bytes"
	"context"
	"io"
	"os"

	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/eventlog"

	"culvert/client/startup"
	"culvert/internal/secret"
)

// runAsService does what the command line says if Windows' service manager has started this process. It is false, and
// nothing was done, if somebody else has.
func runAsService() bool {
	is, err := svc.IsWindowsService()
	if err != nil || !is {
		return false
	}
	secret.Guard()
	var log io.Writer = io.Discard
	if events, err := eventlog.Open(startup.Name); err == nil {
		defer events.Close()
		log = eventWriter{events}
	}
	if err := svc.Run(startup.Name, service{log}); err != nil {
		os.Exit(1)
	}
	return true
}

// service runs the program until the manager wants it to stop.
type service struct{ log io.Writer }

func (s service) Execute(_ []string, asked <-chan svc.ChangeRequest, tell chan<- svc.Status) (bool, uint32) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan int, 1)
	go func() { ended <- program.Run(ctx, os.Args[1:], s.log, s.log) }()
	running := svc.Status{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptShutdown}
	tell <- running
	toStop := false
	for {
		select {
		case code := <-ended:
			return endCode(code, toStop)
		case r := <-asked:
			switch r.Cmd {
			case svc.Interrogate:
				tell <- running
			case svc.Stop, svc.Shutdown:
				tell <- svc.Status{State: svc.StopPending}
				toStop = true
				stop()
			}
		}
	}
}

// endCode is what the manager is told of the end: no failure if it wanted that, and else one, after which it starts the
// service again, with whichever code the program ended.
func endCode(code int, wanted bool) (specific bool, told uint32) {
	if wanted {
		return false, 0
	}
	return true, uint32(max(1, code))
}

// eventWriter makes an event of each write. 1 is an event that EventCreate.exe, whose messages the service's are, has a
// text for.
type eventWriter struct{ log *eventlog.Log }

func (w eventWriter) Write(b []byte) (int, error) {
	if line := bytes.TrimSpace(b); len(line) > 0 {
		w.log.Info(1, string(line)) // who cannot log serves all the same
	}
	return len(b), nil
}
