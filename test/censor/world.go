//go:build linux

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"culvert/internal/seal"
	"culvert/internal/wire"
	"culvert/test/censor/netns"
	"culvert/test/censor/network"
	"culvert/test/standin"
)

// Where programs listen: each world has a loopback interface of its own on
// either side.
const (
	originAt  = "127.0.0.1:8081"
	gatewayAt = "127.0.0.1:8443"
	plainAt   = "127.0.0.1:9001" // in place of WhatsApp's chat
	mediaAt   = "127.0.0.1:9002" // a stand-in's media
	proofAt   = "127.0.0.1:9003" // a stand-in's chat, which proves itself
	rawAt     = "127.0.0.1:5223" // the client's
	chatAt    = "127.0.0.1:5222"
	mediaIn   = "127.0.0.1:7777"
)

// setting is what a world is made of.
type setting struct {
	rules   network.Rules
	fronts  []front       // none: one, of nginx
	gateway bool          // the fronts lead to the gateway door
	idle    time.Duration // after which CDNs cut a WebSocket; 0: a minute
	connect []string      // more arguments of culvert connect
	link    string        // more options of the fronts in the link
	proves  bool          // chat is a stand-in's, and no plain server's

	stranger bool // the link is of another secret
}

// front is one CDN at one address.
type front struct {
	name    string
	address netip.Addr
	cdn     cdn
	more    []netip.Addr // addresses that the link names before address, where nobody listens by itself
}

// Two fronts that are of different make.
var (
	front1 = front{name: "one.front.example", address: netip.MustParseAddr("10.77.1.1"), cdn: nginx}
	front2 = front{name: "two.front.example", address: netip.MustParseAddr("10.77.1.2"), cdn: haproxy}
)

// world is a relay behind CDNs at the far end of a path, and a client's room at
// the near end.
type world struct {
	ctx      context.Context
	set      setting
	bin, dir string
	path     *network.Path
	standIn  *standin.Server
	arrivals arrivals // at the media server
	plain    *plainServer
	programs []*program
	client   *program // culvert connect; nil: it does not run
	sockets  *sockets // that the client has open
	began    time.Time
}

// newWorld starts all but the client. The caller closes it also after an error.
func newWorld(ctx context.Context, bin string, set setting) (w *world, err error) {
	if len(set.fronts) == 0 {
		set.fronts = []front{front1}
	}
	if set.idle == 0 {
		set.idle = time.Minute
	}
	w = &world{ctx: ctx, set: set, bin: bin, began: time.Now()}
	if w.dir, err = os.MkdirTemp(scratch, "world"); err != nil {
		return w, err
	}
	var addresses []netip.Addr
	for _, f := range set.fronts {
		addresses = append(append(addresses, f.address), f.more...)
	}
	if w.path, err = network.NewPath(set.rules, addresses...); err != nil {
		return w, err
	}
	w.sockets = w.watchSockets()
	steps := []func() error{w.makeCertificate, w.makeSecrets, w.startServers, w.startOrigin}
	if set.gateway {
		steps = append(steps, w.startGateway)
	}
	for _, f := range set.fronts {
		steps = append(steps, func() error { return w.startCDN(f) })
	}
	for _, step := range append(steps, w.makeLink) {
		if err := step(); err != nil {
			return w, err
		}
	}
	return w, nil
}

func (w *world) close() {
	if w.client != nil {
		w.client.end()
	}
	for _, p := range w.programs {
		p.end()
	}
	if w.standIn != nil {
		w.standIn.Close()
		w.plain.close()
	}
	if w.path != nil {
		w.mostSockets()
		w.path.Close()
	}
	os.RemoveAll(w.dir)
}

func (w *world) file(name string) string { return filepath.Join(w.dir, name) }

// start is a program that ends with the world.
func (w *world) start(space *netns.Space, env []string, path string, args ...string) (*program, error) {
	p, err := start(space, append(env, "HOME="+w.file("home")), path, args...)
	if err == nil {
		w.programs = append(w.programs, p)
	}
	return p, err
}

func (w *world) makeSecrets() error {
	gate := (rand.Text() + rand.Text() + rand.Text())[:64]
	keys, err := wire.ParseGateKeys(gate)
	if err != nil {
		return err
	}
	master := seal.NewMaster()
	if w.set.gateway {
		master = master.WithGate(keys[0])
	}
	return errors.Join(os.Mkdir(w.file("home"), 0o700), w.makeGatewayCertificate(),
		os.WriteFile(w.file("gate"), []byte(gate+"\n"), 0o600), os.WriteFile(w.file("secret"), []byte(master.Text()+"\n"), 0o600))
}

// startServers puts a plain server in the place of WhatsApp's chat, and a
// stand-in in that of its media, and of chat where doctor asks who it is.
func (w *world) startServers() (err error) {
	if w.standIn, err = standin.New(); err != nil {
		return err
	}
	w.plain = newPlainServer()
	return errors.Join(w.serve(plainAt, w.plain.serve), w.serve(mediaAt, func(l net.Listener) error { return w.standIn.ServeMedia(w.arrivals.at(l)) }), w.serve(proofAt, w.standIn.ServeChat))
}

func (w *world) serve(at string, serve func(net.Listener) error) error {
	l, err := w.path.Server.Listen(at)
	if err == nil {
		go serve(l)
	}
	return err
}

// aws is what the origin signs its posts by, and the gateway checks.
var aws = []string{"AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_REGION=us-east-1"}

func (w *world) startOrigin() error {
	chat := plainAt
	if w.set.proves {
		chat = proofAt
	}
	env := append([]string{
		"CULVERT_LISTEN=" + originAt, "CULVERT_SECRET_FILE=" + w.file("secret"), "CULVERT_ADMIN_LISTEN=off",
		"CULVERT_UPSTREAM_CHAT=" + chat, "CULVERT_UPSTREAM_MEDIA=" + mediaAt, "CULVERT_ALLOW_PRIVATE=true", "CULVERT_DRAIN=1s",
	}, aws...)
	if w.set.gateway {
		env = append(env, "CULVERT_ADVERTISE="+originAt, "CULVERT_GATE_FILE="+w.file("gate"),
			"CULVERT_GATEWAY=https://"+gatewayAt+"/v1", "SSL_CERT_FILE="+w.file("gateway.pem"))
	}
	p, err := w.start(w.path.Server, env, filepath.Join(w.bin, "origin"))
	if err != nil {
		return err
	}
	return p.listens(w.ctx, originAt)
}

func (w *world) startGateway() error {
	env := append([]string{
		"CULVERT_LISTEN=" + gatewayAt, "CULVERT_ORIGIN=http://" + originAt, "CULVERT_GATE_FILE=" + w.file("gate"),
		"CULVERT_TLS_CERT=" + w.file("gateway.pem"), "CULVERT_TLS_KEY=" + w.file("gateway-key.pem"),
	}, aws...)
	p, err := w.start(w.path.Server, env, filepath.Join(w.bin, "local"), "gateway")
	if err != nil {
		return err
	}
	return p.listens(w.ctx, gatewayAt)
}

// makeGatewayCertificate is for the origin, which posts to the gateway by TLS.
func (w *world) makeGatewayCertificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := certificate("gateway")
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	template.IsCA, template.BasicConstraintsValid = true, true
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(w.file("gateway.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(w.file("gateway-key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
}

// makeLink has the fronts in their order, by address: there are no resolvers.
func (w *world) makeLink() error {
	secret := w.file("secret")
	if w.set.stranger {
		secret = w.file("other")
		if err := os.WriteFile(secret, []byte(seal.NewMaster().Text()+"\n"), 0o600); err != nil {
			return err
		}
	}
	args := []string{"link", "new", "--secret-file", secret, "--user", "7", "--pin", w.file("cert.pem")}
	door := ""
	if w.set.gateway {
		args, door = append(args, "--gate-file", w.file("gate")), "v1;door=gateway"
	}
	for _, f := range w.set.fronts {
		var dial strings.Builder
		for _, a := range append(f.more[:len(f.more):len(f.more)], f.address) {
			fmt.Fprintf(&dial, ";dial=%s", a)
		}
		args = append(args, "--front", "wss://"+f.name+"/"+door+dial.String()+w.set.link)
	}
	out, err := exec.Command(filepath.Join(w.bin, "culvert"), args...).Output()
	if err != nil {
		return fmt.Errorf("make a link: %w", err)
	}
	return os.WriteFile(w.file("link"), out, 0o600)
}

// connect starts the client, which finds what it has kept from an earlier start.
func (w *world) connect() (err error) {
	home := w.file("home")
	env := []string{"HOME=" + home, "XDG_STATE_HOME=" + home, "XDG_CACHE_HOME=" + home, "XDG_CONFIG_HOME=" + home}
	args := append([]string{"connect", "--verbose", "--link-file", w.file("link"), "--chat", chatAt, "--media", mediaIn, "--raw-chat", rawAt}, w.set.connect...)
	if w.client, err = start(w.path.Client, env, filepath.Join(w.bin, "culvert"), args...); err != nil {
		return err
	}
	return w.client.listens(w.ctx, mediaIn, chatAt)
}

// mostSockets is how many connections the client had at once, until now. It
// counts no further.
func (w *world) mostSockets() int {
	w.sockets.once.Do(func() { close(w.sockets.stop) })
	<-w.sockets.done
	return w.sockets.most
}

// disconnect ends the client.
func (w *world) disconnect() {
	w.client.end()
	w.client = nil
}

// knows says whether culvert connect has a flag.
func knows(bin, flag string) bool {
	out, _ := exec.Command(filepath.Join(bin, "culvert"), "connect", "--help").CombinedOutput()
	return strings.Contains(string(out), flag)
}
