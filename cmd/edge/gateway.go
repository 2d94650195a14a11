package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"culvert/edge"
	"culvert/internal/cost"
	"culvert/internal/serve"
	"culvert/internal/wire"
	"culvert/test/emulator"
)

// gateway is the settings of an edge that emulates API Gateway.
type gateway struct {
	GateFile  string `env:"CULVERT_GATE_FILE" help:"gateway: file with the gate secrets, the newest first; the origin has the same" try:"/etc/culvert/gate"`
	Functions string `env:"CULVERT_FUNCTIONS" help:"gateway: folder that holds connect/bootstrap, message/bootstrap and disconnect/bootstrap, which 'make functions' builds; without it the functions run in this process" try:"bin/lambda"`
	Day       string `env:"CULVERT_DAY" help:"gateway: file to write what AWS would have charged for to, at the end; 'culvert cost --day' reads it" try:"day.json"`
	AccessKey string `env:"AWS_ACCESS_KEY_ID" help:"gateway: who may post to clients; the origin has the same" try:"local"`
	SecretKey string `env:"AWS_SECRET_ACCESS_KEY,unset" help:"gateway: the key's secret" try:"local"`

	secrets string // the text of GateFile
	keys    wire.GateKeys
}

// door is what the edge is.
type door string

const (
	streamDoor  door = "stream"
	gatewayDoor door = "gateway"
)

// UnmarshalText refuses what is neither.
func (d *door) UnmarshalText(b []byte) error {
	*d = door(b)
	if *d != streamDoor && *d != gatewayDoor {
		return errors.New("is neither stream nor gateway")
	}
	return nil
}

// The one API that there is, and what each function may use, as in the
// template.
const (
	localAPI      = "local"
	localStage    = "v1"
	functionMB    = 256
	functionLimit = 15 * time.Second
	functionsMost = 64 // instances of each, each a process
)

// check reads the gate secrets.
func (g *gateway) check() []serve.SettingError {
	text, err := os.ReadFile(g.GateFile)
	if err == nil {
		g.secrets = string(text)
		g.keys, err = wire.ParseGateKeys(g.secrets)
	}
	var keyErr error
	if g.AccessKey == "" || g.SecretKey == "" {
		keyErr = errors.New("is not set, or AWS_SECRET_ACCESS_KEY is not: the origin signs its posts by them")
	}
	return []serve.SettingError{
		serve.Wrong("CULVERT_GATE_FILE", err, "CULVERT_GATE_FILE=/etc/culvert/gate, with 64 letters and digits a line"),
		serve.Wrong("AWS_ACCESS_KEY_ID", keyErr, "AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local, for both"),
	}
}

// run serves the emulated API until ctx ends, then says what AWS would charge.
func (g *gateway) run(ctx context.Context, c *config, log *slog.Logger, files *serve.Files) error {
	meter := new(emulator.Meter)
	routes, end, err := g.routes(&c.Origin.URL, meter, log)
	if err != nil {
		return err
	}
	defer end()
	api := emulator.New(routes, emulator.Options{
		API: localAPI, Stage: localStage, Meter: meter, MaxConnections: c.MaxSockets, MaxInFlight: functionsMost,
		Credentials: aws.Credentials{AccessKeyID: g.AccessKey, SecretAccessKey: g.SecretKey},
	})
	defer api.Close()
	listener, err := c.TLS.Listen(c.Listen, nil, files)
	if err != nil {
		return err
	}
	err = serve.Service{
		Listener: listener, Handler: api, Admin: c.Admin, Metrics: serve.NewRegistry(), Log: log, DrainFor: c.DrainFor,
		Drain: func(context.Context) error { api.Close(); return nil },
	}.Run(ctx)
	return errors.Join(err, g.report(meter, os.Stdout))
}

func (g *gateway) routes(origin *url.URL, meter *emulator.Meter, log *slog.Logger) (emulator.Routes, func(), error) {
	set := emulator.Settings{MemoryMB: functionMB, Timeout: functionLimit, Concurrency: functionsMost, Output: os.Stderr, Meter: meter}
	if g.Functions != "" {
		return g.processes(origin, set)
	}
	gate, err := edge.New(edge.Config{Keys: g.keys, Origin: origin, API: localAPI, Stage: localStage, Log: log})
	if err != nil {
		return emulator.Routes{}, nil, err
	}
	routes, end := emulator.GateRoutes(gate, set)
	return routes, end, nil
}

// processes runs the binaries that are built for AWS.
func (g *gateway) processes(origin *url.URL, set emulator.Settings) (emulator.Routes, func(), error) {
	set.Env = map[string]string{
		"CULVERT_GATE": g.secrets, "CULVERT_ORIGIN": origin.String(), "CULVERT_API": localAPI, "CULVERT_STAGE": localStage,
	}
	var all [3]*emulator.Process
	for i, name := range []string{"connect", "message", "disconnect"} {
		bootstrap, err := filepath.Abs(filepath.Join(g.Functions, name, "bootstrap"))
		if err == nil {
			_, err = os.Stat(bootstrap)
		}
		if err != nil {
			return emulator.Routes{}, nil, fmt.Errorf("CULVERT_FUNCTIONS: %w; 'make functions' builds them", err)
		}
		set.Name = name
		all[i] = emulator.NewProcess(bootstrap, set)
	}
	end := func() {
		for _, p := range all {
			p.Close()
		}
	}
	return emulator.Routes{Connect: all[0], Default: all[1], Disconnect: all[2]}, end, nil
}

// report shows the bill, and keeps what it rests on.
func (g *gateway) report(meter *emulator.Meter, out io.Writer) error {
	fmt.Fprintln(out, "\nAWS would have charged, with nothing free:")
	if err := meter.Report(out, cost.USEast1()); err != nil || g.Day == "" {
		return err
	}
	day, err := json.MarshalIndent(meter.Use(), "", "  ")
	if err == nil {
		err = os.WriteFile(g.Day, append(day, '\n'), 0o644)
	}
	return err
}
