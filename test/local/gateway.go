package local

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
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
	"culvert/internal/wire"
	"culvert/origin"
	"culvert/test/emulator"
)

// Gateway is the gateway door on this machine: Amazon API Gateway as the
// emulator has it, with the functions in this process. The origin posts to it
// over a listener of its own.
type Gateway struct {
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

// NewGateway makes one, which listens for the origin from the start.
func NewGateway() (*Gateway, error) {
	posts, err := listenHere()
	if err != nil {
		return nil, err
	}
	return &Gateway{key: aws.Credentials{AccessKeyID: "local", SecretAccessKey: rand.Text()}, posts: posts}, nil
}

// forOrigin is what the origin that listens at addr needs to know.
func (g *Gateway) forOrigin(cfg *origin.Config, addr net.Addr) {
	cfg.Advertise = addr.(*net.TCPAddr).AddrPort()
	cfg.Gateway = origin.Gateway{
		URL:         &url.URL{Scheme: "http", Host: g.posts.Addr().String(), Path: "/" + gatewayStage},
		Region:      gatewayRegion,
		Credentials: credentials.NewStaticCredentialsProvider(g.key.AccessKeyID, g.key.SecretAccessKey, ""),
	}
}

// handler is API Gateway; end ends it and its functions.
func (g *Gateway) handler(master seal.Master, originAt net.Addr) (api *emulator.Gateway, end func(), err error) {
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
	return api, func() { api.Close(); endFunctions(); gate.Close() }, nil
}

// startGateway is the edge of a relay that goes through the gateway door.
func (r *Relay) startGateway(master seal.Master) (http.Handler, func(context.Context) error, error) {
	api, end, err := r.Gateway.handler(master, r.OriginAt)
	if err != nil {
		return nil, nil, err
	}
	drain := func(context.Context) error { api.Close(); return nil }
	r.stops = append(r.stops, end)
	r.serve(r.Gateway.posts, api, drain)
	return api, drain, nil
}

// Bill writes what AWS would have charged.
func (g *Gateway) Bill(w io.Writer) error {
	if err := g.meter.Report(w, cost.USEast1()); err != nil {
		return fmt.Errorf("bill: %w", err)
	}
	return nil
}
