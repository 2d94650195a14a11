package local

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"culvert/edge"
	"culvert/internal/cost"
	"culvert/internal/seal"
	"culvert/internal/wire"
	"culvert/origin"
	"culvert/test/emulator"
)

// API is Amazon API Gateway with the functions of the gateway door, as the
// emulator has it. Its fields are set before Start and not changed afterwards.
type API struct {
	Origin     *url.URL
	Gates      wire.GateKeys
	Key        aws.Credentials // of who may post to clients: the origin
	MaxSockets int
	Log        *slog.Logger // nil: slog.Default()

	// Functions is a folder that holds connect/bootstrap, message/bootstrap and
	// disconnect/bootstrap, as they are built for AWS. Empty: the functions run
	// in this process. GateText is Gates as those in the folder read them.
	Functions, GateText string

	Meter emulator.Meter // counts what AWS charges for
}

// What the one API is called, and what a function may use, as in the template.
const (
	apiName        = "local"
	apiStage       = "v1"
	apiRegion      = "us-east-1"
	functionMB     = 256
	functionLimit  = 15 * time.Second
	functionsMost  = 64   // instances of each function at once
	gatewaySockets = 1000 // of a relay on one machine
)

// Start makes the API's handler. The caller calls end, which ends connections
// and functions, when it serves the handler no more.
func (a *API) Start() (handler *emulator.Gateway, end func(), err error) {
	routes, endFunctions, err := a.routes()
	if err != nil {
		return nil, nil, err
	}
	handler = emulator.New(routes, emulator.Options{
		API: apiName, Region: apiRegion, Stage: apiStage, Credentials: a.Key, Meter: &a.Meter,
		MaxConnections: a.MaxSockets, MaxInFlight: functionsMost,
	})
	return handler, func() { handler.Close(); endFunctions() }, nil
}

func (a *API) routes() (routes emulator.Routes, end func(), err error) {
	set := emulator.Settings{MemoryMB: functionMB, Timeout: functionLimit, Concurrency: functionsMost, Output: os.Stderr, Meter: &a.Meter}
	if a.Functions != "" {
		return a.processes(set)
	}
	gate, err := edge.New(edge.Config{Keys: a.Gates, Origin: a.Origin, API: apiName, Stage: apiStage, Log: a.Log})
	if err != nil {
		return routes, nil, err
	}
	routes, endFunctions := emulator.GateRoutes(gate, set)
	return routes, func() { endFunctions(); gate.Close() }, nil
}

// processes runs the binaries that are built for AWS.
func (a *API) processes(set emulator.Settings) (routes emulator.Routes, end func(), err error) {
	set.Env = map[string]string{
		"CULVERT_GATE": a.GateText, "CULVERT_ORIGIN": a.Origin.String(), "CULVERT_API": apiName, "CULVERT_STAGE": apiStage,
	}
	var all [3]*emulator.Process
	for i, name := range []string{"connect", "message", "disconnect"} {
		bootstrap, err := filepath.Abs(filepath.Join(a.Functions, name, "bootstrap"))
		if err == nil {
			_, err = os.Stat(bootstrap)
		}
		if err != nil {
			return routes, nil, fmt.Errorf("CULVERT_FUNCTIONS: %w; 'make functions' builds them", err)
		}
		set.Name = name
		all[i] = emulator.NewProcess(bootstrap, set)
	}
	end = func() {
		for _, p := range all {
			p.Close()
		}
	}
	return emulator.Routes{Connect: all[0], Default: all[1], Disconnect: all[2]}, end, nil
}

// Bill writes what AWS would have charged.
func (a *API) Bill(w io.Writer) error {
	if err := a.Meter.Report(w, cost.USEast1()); err != nil {
		return fmt.Errorf("bill: %w", err)
	}
	return nil
}

// Gateway is the gateway door of a Relay. The origin posts to it over a listener
// of its own.
type Gateway struct {
	API
	posts net.Listener
}

// NewGateway makes one, which listens for the origin from the start.
func NewGateway() (*Gateway, error) {
	posts, err := listenHere()
	if err != nil {
		return nil, err
	}
	key := aws.Credentials{AccessKeyID: "local", SecretAccessKey: rand.Text()}
	return &Gateway{API{Key: key, MaxSockets: gatewaySockets}, posts}, nil
}

// forOrigin is what the origin that listens at addr needs to know.
func (g *Gateway) forOrigin(cfg *origin.Config, addr net.Addr) {
	cfg.Advertise = addr.(*net.TCPAddr).AddrPort()
	cfg.Gateway = origin.Gateway{
		URL:         &url.URL{Scheme: "http", Host: g.posts.Addr().String(), Path: "/" + apiStage},
		Region:      apiRegion,
		Credentials: credentials.NewStaticCredentialsProvider(g.Key.AccessKeyID, g.Key.SecretAccessKey, ""),
	}
}

// startGateway is the edge of a relay that goes through the gateway door.
func (r *Relay) startGateway(master seal.Master) (http.Handler, func(context.Context) error, error) {
	g := r.Gateway
	g.Origin, g.Gates = &url.URL{Scheme: "http", Host: r.OriginAt.String()}, wire.GateKeys{master.GateKey()}
	api, end, err := g.Start()
	if err != nil {
		return nil, nil, err
	}
	drain := func(context.Context) error { api.Close(); return nil }
	r.stops = append(r.stops, end)
	r.serve(g.posts, api, drain)
	return api, drain, nil
}
