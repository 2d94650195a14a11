package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"culvert/edge"
	"culvert/internal/cost"
	"culvert/internal/seal"
	"culvert/internal/term"
	"culvert/internal/wire"
	"culvert/origin"
	"culvert/test/emulator"
)

// localGateway is the gateway door on this machine: Amazon API Gateway as the
// emulator has it, with the functions in this process. The origin posts to it
// over a listener of its own.
type localGateway struct {
	key   aws.Credentials
	posts net.Listener
	meter emulator.Meter
}

// What the API is called, and what a function may use, as in the cloud.
const (
	gatewayAPI     = "local"
	gatewayStage   = "v1"
	gatewayRegion  = "us-east-1"
	gatewayMB      = 256
	gatewayLimit   = 15 * time.Second
	gatewayAtOnce  = 64
	gatewaySockets = 1000
)

func newLocalGateway() (*localGateway, error) {
	posts, err := listenHere()
	if err != nil {
		return nil, err
	}
	return &localGateway{key: aws.Credentials{AccessKeyID: "local", SecretAccessKey: rand.Text()}, posts: posts}, nil
}

// forOrigin is what the origin that listens at addr needs to know.
func (g *localGateway) forOrigin(cfg *origin.Config, addr net.Addr) {
	cfg.Advertise = addr.(*net.TCPAddr).AddrPort()
	cfg.Gateway = origin.Gateway{
		URL:         &url.URL{Scheme: "http", Host: g.posts.Addr().String(), Path: "/" + gatewayStage},
		Region:      gatewayRegion,
		Credentials: credentials.NewStaticCredentialsProvider(g.key.AccessKeyID, g.key.SecretAccessKey, ""),
	}
}

// handler is API Gateway; end ends it and its functions.
func (g *localGateway) handler(master seal.Master, originAt net.Addr) (api *emulator.Gateway, end func(), err error) {
	at, err := netip.ParseAddrPort(originAt.String())
	if err != nil {
		return nil, nil, err
	}
	gate, err := edge.New(edge.Config{
		Keys: wire.GateKeys{master.GateKey()}, Origin: &url.URL{Scheme: "http", Host: at.String()}, API: gatewayAPI, Stage: gatewayStage,
	})
	if err != nil {
		return nil, nil, err
	}
	routes, endFunctions := emulator.GateRoutes(gate, emulator.Settings{
		MemoryMB: gatewayMB, Timeout: gatewayLimit, Concurrency: gatewayAtOnce, Meter: &g.meter,
	})
	api = emulator.New(routes, emulator.Options{
		API: gatewayAPI, Region: gatewayRegion, Stage: gatewayStage, Credentials: g.key, Meter: &g.meter,
		MaxConnections: gatewaySockets, MaxInFlight: gatewayAtOnce,
	})
	return api, func() { api.Close(); endFunctions() }, nil
}

// startGateway is the edge of a relay that goes through the gateway door.
func (r *localRelay) startGateway(master seal.Master) (http.Handler, func(context.Context) error, error) {
	api, end, err := r.gateway.handler(master, r.originAt)
	if err != nil {
		return nil, nil, err
	}
	drain := func(context.Context) error { api.Close(); return nil }
	r.stops = append(r.stops, end)
	r.serve(r.gateway.posts, api, drain)
	return api, drain, nil
}

// bill shows what AWS would have charged.
func (g *localGateway) bill(out *term.Console) error {
	out.Title("What AWS would have charged for this, with nothing free")
	if err := g.meter.Report(out, cost.USEast1()); err != nil {
		return fmt.Errorf("bill: %w", err)
	}
	return nil
}
