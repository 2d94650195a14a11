// Package proxy serves phones without a client, as Meta's own proxy does: it takes the app's connections on the open
// internet and copies them to WhatsApp, and to nobody else. Whoever watches sees that it is WhatsApp.
package proxy

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"culvert/client/listener"
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

// Serve takes connections until ctx ends, and returns nil then. behind is for a listener to which a load balancer
// sends a PROXY header before everything else.
func (s *Server) Serve(ctx context.Context, ln net.Listener, behind bool) error {
	l := listener.Listener{ProxyHeader: behind, Log: s.Log, Carry: func(conn net.Conn, service wire.Service, first []byte) {
		s.carry(ctx, conn, service, first)
	}}
	return l.Serve(ctx, ln)
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

// carry copies both ways until both have ended.
func (s *Server) carry(ctx context.Context, app net.Conn, service wire.Service, first []byte) {
	defer app.Close()
	place := s.enter(app)
	defer place.Leave()
	t := s.of(service)
	t.opened.Add(1)
	t.now.Add(1)
	defer t.now.Add(-1)
	whatsapp, err := s.Dial(ctx, service)
	if err != nil {
		t.failed.Add(1)
		reset(app)
		return
	}
	defer whatsapp.Close()
	defer context.AfterFunc(ctx, func() { app.Close(); whatsapp.Close() })()
	place.Show()
	whatsapp.SetWriteDeadline(time.Now().Add(firstPatience))
	if s.Tell != 0 && service.Kind == wire.Chat {
		first = append(listener.HeaderFor(app, s.Tell), first...)
	}
	n, err := whatsapp.Write(first)
	t.up.Add(int64(n))
	if err != nil {
		t.failed.Add(1)
		reset(app)
		return
	}
	whatsapp.SetWriteDeadline(time.Time{})
	var group sync.WaitGroup
	group.Go(func() { t.up.Add(pass(whatsapp, app)) })
	t.down.Add(pass(app, whatsapp))
	group.Wait()
}

// enter counts a connection for the address that it comes from, if that is known.
func (s *Server) enter(app net.Conn) *share.Place[netip.Prefix, netip.Prefix] {
	from, _ := netip.ParseAddrPort(app.RemoteAddr().String()) // a connection in memory has none
	network, own := share.Prefix(from.Addr().Unmap())
	return s.places.Enter(network, own, func() { app.Close() })
}

// firstPatience bounds the writing of what the app said first, which the system takes at once.
const firstPatience = 10 * time.Second

// lastPatience is how long one direction may go on when the other has ended.
const lastPatience = 2 * time.Minute

// pass copies from one end to the other, and hands on how it ends: in order, or not. It returns how many bytes passed.
// Between TCP connections the system copies, without memory of ours. An end that is gone is noticed by keep-alives.
func pass(to, from net.Conn) int64 {
	n, err := io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok && err == nil && half.CloseWrite() == nil {
		to.SetReadDeadline(time.Now().Add(lastPatience))
		return n
	}
	if !errors.Is(err, net.ErrClosed) {
		reset(to)
	}
	to.Close()
	from.Close()
	return n
}

// reset has a connection end so that nobody takes the end for one in order.
func reset(c net.Conn) {
	if l, ok := c.(interface{ SetLinger(int) error }); ok {
		l.SetLinger(0)
	}
}
