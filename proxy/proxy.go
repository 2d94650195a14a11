// Package proxy serves phones without a client, as Meta's own proxy does: it takes the app's connections on the open
// internet and copies them to WhatsApp, and to nobody else. Whoever watches sees that it is WhatsApp.
package proxy

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"culvert/client/listener"
	"culvert/internal/netpoll"
	"culvert/internal/share"
	"culvert/internal/wire"
)

// Server copies connections. Its fields are not changed once Serve was called, which may be called for several
// listeners at once.
type Server struct {
	Dial func(context.Context, wire.Service) (net.Conn, error) // to WhatsApp
	Log  *slog.Logger

	// Tell is the version, 1 or 2, of the PROXY header that tells WhatsApp's chat servers each user's address, as Meta's
	// proxy does; 0: nobody is told.
	Tell int

	places   *share.Strangers
	services [2]traffic // by chat and media
	draining atomic.Bool
}

// traffic is what is counted of a service.
type traffic struct {
	now, opened, failed, up, down atomic.Int64
}

// New makes a Server for so many connections at once. When they get scarce, the network and address with most loses
// the one that has done nothing for longest.
func New(dial func(context.Context, wire.Service) (net.Conn, error), connections int, log *slog.Logger) *Server {
	return &Server{Dial: dial, Log: log, places: share.NewStrangers(connections)}
}

// Serve takes connections until ctx ends, and returns nil then, when none is left. behind is for a listener to which a
// load balancer sends a PROXY header before everything else.
func (s *Server) Serve(ctx context.Context, ln net.Listener, behind bool) error {
	ctx, cancel := context.WithCancel(ctx)
	by := &serving{to: s}
	by.poller.Go = func(f func()) bool { by.flows.Go(f); return true }
	defer by.flows.Wait()
	defer by.poller.Close()
	defer cancel()
	l := listener.Listener{ProxyHeader: behind, Log: s.Log, Carry: func(conn net.Conn, service wire.Service, first []byte) {
		by.carry(ctx, conn, service, first)
	}}
	return l.Serve(ctx, ln)
}

// serving is one call of Serve.
type serving struct {
	to     *Server
	poller netpoll.Poller // where connections rest; a flow that is there is one of flows all the same
	flows  sync.WaitGroup
}

// carry connects the app with WhatsApp, and returns.
func (s *serving) carry(ctx context.Context, app net.Conn, service wire.Service, first []byte) {
	f := s.begin(ctx, app, service)
	if err := f.reach(ctx, service, first); err != nil {
		f.of.failed.Add(1)
		f.fail()
		f.end()
		return
	}
	f.run()
}

// Drain waits until no connection is left, or for so long.
func (s *Server) Drain(most time.Duration) {
	s.draining.Store(true)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(most); s.places.Len() > 0; {
		select {
		case <-late:
			return
		case <-tick.C:
		}
	}
}

func (s *Server) of(service wire.Service) *traffic {
	if service.Kind == wire.Chat {
		return &s.services[0]
	}
	return &s.services[1]
}

// enter counts a connection for the address that it comes from, if that is known.
func (s *Server) enter(app net.Conn, leave func()) *share.Place[netip.Prefix, netip.Prefix] {
	from, _ := netip.ParseAddrPort(app.RemoteAddr().String()) // a connection in memory has none
	network, own := share.Prefix(from.Addr().Unmap())
	return s.places.Enter(network, own, leave)
}
