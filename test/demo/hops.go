package demo

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"culvert/client"
	"culvert/client/doctor"
	"culvert/internal/term"
	"culvert/internal/whatsapp"
	"culvert/internal/wire"
	"culvert/test/app"
)

// hops shows what each hop takes by itself.
func (d *Demo) hops(ctx context.Context) error {
	d.Out.Title("Each hop by itself")
	d.row("", "connect", "TLS", "WebSocket", "round trip")
	for _, hop := range []func(context.Context) error{d.appHop, d.edgeHop, d.originHop, d.chatHop, d.mediaHop} {
		if err := hop(ctx); err != nil {
			return err
		}
	}
	return nil
}

// appHop asks the app's listener for its help page.
func (d *Demo) appHop(ctx context.Context) error {
	connect, trip, err := askPage(ctx, d.Relay.DialChat)
	if err != nil {
		return fmt.Errorf("app to client: %w", err)
	}
	d.row("app to client", term.Took(connect), none, none, term.Took(trip))
	return nil
}

// edgeHop takes the steps of a front; the round trip is a carrier's ping, on
// to the origin and back.
func (d *Demo) edgeHop(ctx context.Context) error {
	took := map[client.HopName]string{}
	for _, h := range d.Relay.Near.Client.Probe(ctx, 0).Hops {
		if h.Err != nil {
			return fmt.Errorf("client to edge: %w", h.Err)
		}
		took[h.Name] = term.Took(h.Took)
	}
	d.row("client to edge", took[client.HopNetwork], took[client.HopTLS], took[client.HopGate], none)
	d.row("client to edge to origin", none, none, none, term.Took(doctor.MeasureRTT(ctx, d.Relay.Near.Client)))
	return nil
}

// originHop asks the origin for its site.
func (d *Demo) originHop(ctx context.Context) error {
	connect, trip, err := askPage(ctx, func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", d.Relay.OriginAt.String())
	})
	if err != nil {
		return fmt.Errorf("edge to origin: %w", err)
	}
	d.row("edge to origin", term.Took(connect), none, none, term.Took(trip))
	return nil
}

// chatHop exchanges messages with the stand-in, without the relay.
func (d *Demo) chatHop(ctx context.Context) error {
	start := time.Now()
	conn, err := d.Relay.Upstream.Dial(ctx, wire.Service{Kind: wire.Chat})
	if err != nil {
		return fmt.Errorf("origin to chat: %w", err)
	}
	defer conn.Close()
	connect := time.Since(start)
	trips, err := app.Exchange(ctx, conn, d.Relay.Trust.Root, messages)
	if err != nil {
		return fmt.Errorf("origin to chat: %w", err)
	}
	d.row("origin to chat", term.Took(connect), none, none, term.Took(percentile(trips, 50)))
	return nil
}

// mediaHop asks the stand-in's media server, without the relay.
func (d *Demo) mediaHop(ctx context.Context) error {
	start := time.Now()
	conn, err := d.Relay.Upstream.Dial(ctx, wire.Service{Kind: wire.Media, Host: whatsapp.MediaHost})
	if err != nil {
		return fmt.Errorf("origin to media: %w", err)
	}
	defer conn.Close()
	connect := time.Since(start)
	m, err := whatsapp.ProveMedia(ctx, conn, whatsapp.MediaHost, d.Relay.Trust.CAs, 0)
	if err != nil {
		return fmt.Errorf("origin to media: %w", err)
	}
	d.row("origin to media", term.Took(connect), term.Took(m.Handshake), none, term.Took(m.RTT))
	return nil
}

// pageLimit bounds a page from this machine.
const pageLimit = 5 * time.Second

// askPage measures connecting, and an HTTP request, as a person's browser makes it, and its answer.
func askPage(ctx context.Context, dial func(context.Context) (net.Conn, error)) (connect, trip time.Duration, err error) {
	start := time.Now()
	conn, err := dial(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close()
	connect = time.Since(start)
	conn.SetDeadline(start.Add(pageLimit))
	start = time.Now()
	if _, err := fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade-Insecure-Requests: 1\r\n\r\n"); err != nil {
		return 0, 0, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, 0, err
	}
	resp.Body.Close()
	return connect, time.Since(start), nil
}
