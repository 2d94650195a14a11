package main

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"culvert/client/listener"
	"culvert/internal/cost"
	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/wire"
	"culvert/test/ports"
)

// gateway is the gateway door as processes: an origin, and an edge that emulates
// API Gateway and runs the functions' binaries.
type gateway struct {
	programs         string // folder with origin, local and lambda/*/bootstrap
	dir              string // of this run
	originAt, edgeAt string
	pin              link.Pin
	master           seal.Master
	origin, edge     *program
	edges            int // that were started
}

// withGateway runs what needs a gateway, and shows what its processes printed if
// that fails.
func withGateway(programs string, run func(*gateway) error) error {
	if _, err := os.Stat(filepath.Join(programs, "lambda")); err != nil {
		return fmt.Errorf("%w; .ci/gateway builds all that is needed", err)
	}
	return withProgramsIn(programs, run)
}

// withProgramsIn runs what needs programs of a folder, in a directory of its own.
func withProgramsIn(programs string, run func(*gateway) error) error {
	dir, err := os.MkdirTemp("", "load")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	g, err := newGateway(programs, dir)
	if err != nil {
		return err
	}
	if err := run(g); err != nil {
		return fmt.Errorf("%w\n%s", err, g.logs())
	}
	return nil
}

// newGateway prepares what the processes share.
func newGateway(programs, dir string) (g *gateway, err error) {
	g = &gateway{programs: programs, dir: dir}
	g.originAt, g.edgeAt = ports.Loopback(), ports.Loopback()
	return g, errors.Join(g.makeCertificate(), g.makeSecrets())
}

func (g *gateway) file(name string) string { return filepath.Join(g.dir, name) }

func (g *gateway) makeCertificate() error {
	c, err := listener.NewChatCertificate(time.Now())
	if err != nil {
		return err
	}
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return err
	}
	g.pin = link.PinOf(c.Leaf)
	return errors.Join(g.writePEM("cert.pem", "CERTIFICATE", c.Certificate[0]), g.writePEM("key.pem", "PRIVATE KEY", key))
}

func (g *gateway) writePEM(name, kind string, der []byte) error {
	return os.WriteFile(g.file(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

func (g *gateway) makeSecrets() error {
	gate := (rand.Text() + rand.Text() + rand.Text())[:64]
	keys, err := wire.ParseGateKeys(gate)
	if err != nil {
		return err
	}
	g.master = seal.NewMaster().WithGate(keys[0])
	return errors.Join(os.WriteFile(g.file("gate"), []byte(gate+"\n"), 0o600),
		os.WriteFile(g.file("secret"), []byte(g.master.Text()+"\n"), 0o600))
}

// aws is what the origin signs its posts by, and the edge checks.
var aws = []string{"AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_REGION=us-east-1"}

// startOrigin starts the origin; chat and media are in WhatsApp's place.
func (g *gateway) startOrigin(ctx context.Context, chat, media string) (err error) {
	env := append([]string{
		"CULVERT_LISTEN=" + g.originAt, "CULVERT_ADVERTISE=" + g.originAt, "CULVERT_ADMIN_LISTEN=off",
		"CULVERT_SECRET_FILE=" + g.file("secret"), "CULVERT_GATE_FILE=" + g.file("gate"),
		"CULVERT_GATEWAY=https://" + g.edgeAt + "/v1", "SSL_CERT_FILE=" + g.file("cert.pem"),
		"CULVERT_UPSTREAM_CHAT=" + chat, "CULVERT_UPSTREAM_MEDIA=" + media, "CULVERT_ALLOW_PRIVATE=true",
	}, aws...)
	if g.origin, err = start(ctx, g.file("origin.log"), filepath.Join(g.programs, "origin"), env); err != nil {
		return err
	}
	return g.origin.listens(ctx, g.originAt)
}

// startEdge starts the edge, also once more.
func (g *gateway) startEdge(ctx context.Context) (err error) {
	env := append([]string{
		"CULVERT_LISTEN=" + g.edgeAt, "CULVERT_ORIGIN=http://" + g.originAt,
		"CULVERT_TLS_CERT=" + g.file("cert.pem"), "CULVERT_TLS_KEY=" + g.file("key.pem"),
		"CULVERT_GATE_FILE=" + g.file("gate"), "CULVERT_FUNCTIONS=" + filepath.Join(g.programs, "lambda"),
		"CULVERT_DAY=" + g.day(g.edges),
	}, aws...)
	g.edges++
	if g.edge, err = start(ctx, g.file("edge.log"), filepath.Join(g.programs, "local"), env, "gateway"); err != nil {
		return err
	}
	return g.edge.listens(ctx, g.edgeAt)
}

// day is the file where an edge leaves what it has metered.
func (g *gateway) day(edge int) string { return g.file(fmt.Sprintf("day%d.json", edge)) }

// end stops the processes.
func (g *gateway) end() {
	g.edge.end()
	g.origin.end()
}

// use is what all edges have metered, once they have ended.
func (g *gateway) use() (sum cost.GatewayUse, err error) {
	for i := range g.edges {
		text, err := os.ReadFile(g.day(i))
		if err != nil {
			return sum, err
		}
		u, err := cost.ReadGatewayUse(text)
		if err != nil {
			return sum, err
		}
		sum.Messages += u.Messages
		sum.ConnectionMinutes += u.ConnectionMinutes
		sum.Invocations += u.Invocations
		sum.GBSeconds += u.GBSeconds
		sum.BytesOut += u.BytesOut
	}
	return sum, nil
}

// link leads a user to the gateway door.
func (g *gateway) link(user uint32) *link.Link {
	front := link.Front{Host: g.edgeAt, Path: "/v1", Gateway: true, Pins: []link.Pin{g.pin}}
	return &link.Link{Keys: g.master.Client(user), Fronts: []link.Front{front}}
}

// logs are the last lines of what the processes have printed.
func (g *gateway) logs() string {
	var all strings.Builder
	names, _ := filepath.Glob(g.file("*.log"))
	for _, name := range names {
		b, _ := os.ReadFile(name)
		fmt.Fprintf(&all, "%s:\n%s\n", filepath.Base(name), b[max(0, len(b)-2000):])
	}
	return all.String()
}
