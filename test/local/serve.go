package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"culvert/internal/serve"
	"culvert/internal/term"
	"culvert/internal/wire"
)

var gatewayProgram = serve.Program{
	Name: "local gateway",
	About: "is an edge that emulates Amazon API Gateway and its functions on this machine,\n" +
		"for tests. It prints at the end what AWS would have charged.",
}

// gatewaySettings are what the environment says; their tags are the manual.
type gatewaySettings struct {
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

// Check finds what no single setting shows, and reads the gate secrets.
func (g *gatewaySettings) Check() []serve.SettingError {
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

// RunGateway is "local gateway": an edge that emulates Amazon API Gateway until
// ctx ends. It takes its settings as the servers do, from the environment.
func RunGateway(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	g := new(gatewaySettings)
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
func (g *gatewaySettings) run(ctx context.Context, log *slog.Logger, files *serve.Files, stdout io.Writer) error {
	api := &API{
		Origin: &g.Origin.URL, Gates: g.keys, GateText: g.secrets, Functions: g.Functions, MaxSockets: g.MaxSockets, Log: log,
		Key: aws.Credentials{AccessKeyID: g.AccessKey, SecretAccessKey: g.SecretKey},
	}
	handler, end, err := api.Start()
	if err != nil {
		return err
	}
	defer end()
	listener, err := g.TLS.Listen(g.Listen, false, nil, files)
	if err != nil {
		return err
	}
	err = serve.Service{
		Listener: listener, Handler: handler, Admin: g.Admin, Metrics: serve.NewRegistry(), Log: log, DrainFor: g.DrainFor,
		Drain: func(context.Context) error { handler.Close(); return nil },
	}.Run(ctx)
	return errors.Join(err, g.report(api, stdout))
}

// report shows the bill, and keeps what it rests on.
func (g *gatewaySettings) report(api *API, out io.Writer) error {
	fmt.Fprintln(out, "\nAWS would have charged, with nothing free:")
	if err := api.Bill(out); err != nil || g.Day == "" {
		return err
	}
	day, err := json.MarshalIndent(api.Meter.Use(), "", "  ")
	if err == nil {
		err = os.WriteFile(g.Day, append(day, '\n'), 0o644)
	}
	return err
}
