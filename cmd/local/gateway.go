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
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"culvert/edge"
	"culvert/internal/cost"
	"culvert/internal/serve"
	"culvert/internal/term"
	"culvert/internal/wire"
	"culvert/test/emulator"
)

var gatewayProgram = serve.Program{
	Name: "local gateway",
	About: "is an edge that emulates Amazon API Gateway and its functions on this machine,\n" +
		"for tests. It prints at the end what AWS would have charged.",
}

// gateway is what the environment says; its tags are the manual.
type gateway struct {
	Listen     serve.Address `env:"CULVERT_LISTEN" envDefault:"127.0.0.1:8080" help:"host:port to listen on" try:":443"`
	TLS        serve.TLSFiles
	Origin     serve.URL          `env:"CULVERT_ORIGIN,required" help:"URL of the origin; a path in it is put before every request's" try:"https://origin.example"`
	Admin      serve.AdminAddress `env:"CULVERT_ADMIN_LISTEN" envDefault:"off" empty:"off" help:"host:port of /healthz and /metrics, or off" try:"127.0.0.1:9091"`
	DrainFor   time.Duration      `env:"CULVERT_DRAIN" envDefault:"20s" help:"how long WebSockets may go on after SIGTERM" try:"20s"`
	MaxSockets int                `env:"CULVERT_MAX_SOCKETS" envDefault:"10000" help:"WebSockets open at once; whoever comes later is refused" try:"10000"`
	GateFile   string             `env:"CULVERT_GATE_FILE" help:"file with the gate secrets, the newest first; the origin has the same" try:"/etc/culvert/gate"`
	Functions  string             `env:"CULVERT_FUNCTIONS" help:"folder that holds connect/bootstrap, message/bootstrap and disconnect/bootstrap, which 'make functions' builds; without it the functions run in this process" try:"bin/lambda"`
	Day        string             `env:"CULVERT_DAY" help:"file to write what AWS would have charged for to, at the end; 'bin/cloud cost --day' reads it" try:"day.json"`
	AccessKey  string             `env:"AWS_ACCESS_KEY_ID" help:"who may post to clients; the origin has the same" try:"local"`
	SecretKey  string             `env:"AWS_SECRET_ACCESS_KEY,unset" help:"the key's secret" try:"local"`

	secrets string // the text of GateFile
	keys    wire.GateKeys
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

// Check finds what no single setting shows, and reads the gate secrets.
func (g *gateway) Check() []serve.SettingError {
	text, err := os.ReadFile(g.GateFile)
	if err == nil {
		g.secrets = string(text)
		g.keys, err = wire.ParseGateKeys(g.secrets)
	}
	var keyErr error
	if g.AccessKey == "" || g.SecretKey == "" {
		keyErr = errors.New("is not set, or AWS_SECRET_ACCESS_KEY is not: the origin signs its posts by them")
	}
	return append(g.TLS.Check(),
		serve.Wrong("CULVERT_GATE_FILE", err, "CULVERT_GATE_FILE=/etc/culvert/gate, with 64 letters and digits a line"),
		serve.Wrong("AWS_ACCESS_KEY_ID", keyErr, "AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local, for both"),
		serve.Positive("CULVERT_MAX_SOCKETS", g.MaxSockets, "10000"),
		serve.Positive("CULVERT_DRAIN", g.DrainFor, "20s"))
}

// runGateway is "local gateway", which takes its settings as the servers do:
// from the environment.
func runGateway(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	g := new(gateway)
	switch err := serve.Load(gatewayProgram, g, args, stdout); {
	case errors.Is(err, serve.ErrShown):
		return nil
	case err != nil:
		fmt.Fprintln(stderr, err)
		return term.ExitCode(2)
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	files := serve.NewFiles(log)
	defer rereadOnHangup(files)()
	err := g.run(ctx, log, files, stdout)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil // the drain was cut short, which the log says
	}
	return err
}

// rereadOnHangup has SIGHUP mean what it means to servers, and not an end, until
// the function that it returns is called.
func rereadOnHangup(files *serve.Files) (stop func()) {
	signal.Reset(syscall.SIGHUP)
	hangups, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		defer close(done)
		for range hangups {
			files.Reread()
		}
	}()
	return func() { signal.Stop(hangups); close(hangups); <-done }
}

// run serves the emulated API until ctx ends, then says what AWS would charge.
func (g *gateway) run(ctx context.Context, log *slog.Logger, files *serve.Files, stdout io.Writer) error {
	meter := new(emulator.Meter)
	routes, end, err := g.routes(&g.Origin.URL, meter, log)
	if err != nil {
		return err
	}
	defer end()
	api := emulator.New(routes, emulator.Options{
		API: localAPI, Stage: localStage, Meter: meter, MaxConnections: g.MaxSockets, MaxInFlight: functionsMost,
		Credentials: aws.Credentials{AccessKeyID: g.AccessKey, SecretAccessKey: g.SecretKey},
	})
	defer api.Close()
	listener, err := g.TLS.Listen(g.Listen, nil, files)
	if err != nil {
		return err
	}
	err = serve.Service{
		Listener: listener, Handler: api, Admin: g.Admin, Metrics: serve.NewRegistry(), Log: log, DrainFor: g.DrainFor,
		Drain: func(context.Context) error { api.Close(); return nil },
	}.Run(ctx)
	return errors.Join(err, g.report(meter, stdout))
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
	return routes, func() { end(); gate.Close() }, nil
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
