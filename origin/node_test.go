package origin_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"culvert/client"
	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/wire"
	"culvert/origin"
)

// network is what origins have in common.
type network struct {
	master seal.Master
	gates  wire.GateKeys
}

func newNetwork() network {
	m := seal.NewMaster()
	return network{m, wire.GateKeys{m.GateKey()}}
}

// node is an origin at an address of its own, which others reach.
type node struct {
	run
	at     netip.AddrPort
	server *httptest.Server
}

func (n network) node(t *testing.T, change ...func(*origin.Config)) *node {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	x := &node{run: run{counters: prometheus.NewRegistry(), streams: make(chan net.Conn, 16)}, server: server}
	x.at = netip.MustParseAddrPort(server.Listener.Addr().String())
	dial := func(context.Context, wire.Service) (net.Conn, error) {
		near, far := net.Pipe()
		x.streams <- far
		return near, nil
	}
	cfg := origin.Config{Master: n.master, Dial: dial, Metrics: x.counters, Advertise: x.at}
	for _, c := range change {
		c(&cfg)
	}
	var err error
	if x.Origin, err = origin.New(cfg); err != nil {
		t.Fatal(err)
	}
	server.Config.Handler, server.Listener = x.Origin, x.Wrap(server.Listener)
	server.Start()
	t.Cleanup(func() { x.Close(); server.Close() })
	return x
}

func startClient(t *testing.T, keys seal.ClientKeys, fronts ...link.Front) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{Link: &link.Link{Keys: keys, Fronts: fronts}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return c
}

// rawPost returns the whole answer but for the time.
func rawPost(t *testing.T, x *node, path, header string, body []byte) string {
	t.Helper()
	c, err := net.Dial("tcp", x.at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	go func() {
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n", path)
		if strings.HasPrefix(header, "Transfer") {
			fmt.Fprintf(c, "%s\r\n%x\r\n%s\r\n0\r\n\r\n", header, len(body), body)
			return
		}
		fmt.Fprintf(c, "%sContent-Length: %d\r\n\r\n%s", header, len(body), body)
	}()
	answer, err := io.ReadAll(c)
	if err != nil && len(answer) == 0 {
		t.Fatal(err)
	}
	return date.ReplaceAllString(string(answer), "")
}

var date = regexp.MustCompile(`Date: [^\r]*\r\n`)

// open opens a stream that stays, and returns its far end.
func open(t *testing.T, c *client.Client, r *run) net.Conn {
	t.Helper()
	app, stream := net.Pipe()
	t.Cleanup(func() { app.Close() })
	c.Carry(stream, wire.Service{Kind: wire.Chat}, []byte("hello"))
	select {
	case far := <-r.streams:
		return far
	case <-time.After(10 * time.Second):
		t.Fatal("the origin dials nothing")
		return nil
	}
}

func wantSoon(t *testing.T, what string, yes func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !yes(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}
