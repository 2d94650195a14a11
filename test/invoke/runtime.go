package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"culvert/test/emulator"
)

// runtime runs functions.
type runtime interface {
	host() netip.Addr // where functions reach this machine
	prepare(ctx context.Context, settings map[string]string) error
	// invoke returns what f replied, a failure as Lambda reports it too, and
	// what was logged meanwhile.
	invoke(ctx context.Context, f function, event []byte) (reply, log []byte, err error)
	keepsLogs() bool    // whether log is complete
	takesSeconds() bool // to invoke once
	close()
}

// place is where functions are to run, and says so if it is not Docker.
func place(ctx context.Context) (runtime, error) {
	if *in == "emulator" {
		return &emulated{}, nil
	}
	d, err := findDocker(ctx)
	switch {
	case err == nil:
		return d, nil
	case *in == "docker":
		return nil, err
	}
	fmt.Println(err)
	fmt.Println("Going on without: the emulator's runtime runs the same binary with the same event.")
	return &emulated{}, nil
}

// emulated runs bin/lambda, which "make functions" builds, in test/emulator.
type emulated struct{ settings map[string]string }

func (e *emulated) host() netip.Addr { return netip.MustParseAddr("127.0.0.1") }

func (e *emulated) prepare(_ context.Context, settings map[string]string) error {
	e.settings = settings
	return nil
}

func (e *emulated) keepsLogs() bool { return true }

func (e *emulated) takesSeconds() bool { return false }

func (e *emulated) close() {}

// invoke gives each event an instance of its own, so that what is logged is the
// event's.
func (e *emulated) invoke(ctx context.Context, f function, event []byte) (reply, log []byte, err error) {
	path, err := filepath.Abs(filepath.Join("bin/lambda", strings.ToLower(string(f)), "bootstrap"))
	if err != nil {
		return nil, nil, err
	}
	var out bytes.Buffer
	p := emulator.NewProcess(path, emulator.Settings{
		Name: string(f) + "Function", MemoryMB: 256, Timeout: 15 * time.Second, Env: e.settings, Output: &out,
	})
	reply, err = p.Invoke(ctx, event)
	p.Close()
	var failed *emulator.FunctionError
	if errors.As(err, &failed) {
		reply, err = json.Marshal(map[string]string{"errorType": failed.Type, "errorMessage": failed.Message})
	}
	return reply, out.Bytes(), err
}
