package fronting

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"path/filepath"
	"testing"
	"time"

	"culvert/internal/seal"
	"culvert/internal/whatsapp"
	"culvert/internal/wire"
	"culvert/test/app"
	"culvert/test/ports"
	"culvert/test/standin"
)

// world is a stand-in WhatsApp and bin/origin, on plain HTTP as behind a CDN.
type world struct {
	testing.TB
	dir     string
	standIn *standin.Server
	master  seal.Master
	secret  string // file
	gate    string // file with the gates' own secret; empty: they have none
	mediaCA string // file
	origin  string // host:port
	far     *program
	admin   string
}

func newWorld(t testing.TB) *world { return newGatedWorld(t, "") }

// newGatedWorld is one whose gates have a secret of their own, unless it is empty.
func newGatedWorld(t testing.TB, gate string) *world {
	t.Helper()
	onLinux(t)
	w := &world{TB: t, dir: t.TempDir(), master: seal.NewMaster()}
	if gate != "" {
		keys, err := wire.ParseGateKeys(gate)
		must(t, err)
		w.master, w.gate = w.master.WithGate(keys[0]), write(t, gate+"\n", w.dir, "gate")
	}
	chat, media := w.whatsapp()
	w.secret = write(t, w.master.Text()+"\n", w.dir, "secret")
	w.origin, w.admin = ports.Loopback(), ports.Loopback()
	w.far = start(t, []string{
		"CULVERT_LISTEN=" + w.origin, "CULVERT_SITE=soups", "CULVERT_SECRET_FILE=" + w.secret, "CULVERT_GATE_FILE=" + w.gate, "CULVERT_ADMIN_LISTEN=" + w.admin,
		"CULVERT_UPSTREAM_CHAT=" + chat, "CULVERT_UPSTREAM_MEDIA=" + media, "CULVERT_ALLOW_PRIVATE=true", "CULVERT_DRAIN=1s",
	}, filepath.Join(bin, "origin"))
	w.far.up(w.origin)
	return w
}

func (w *world) whatsapp() (chat, media string) {
	var err error
	w.standIn, err = standin.New()
	must(w, err)
	w.Cleanup(func() { w.standIn.Close() })
	for _, s := range []struct {
		at    *string
		serve func(net.Listener) error
	}{{&chat, w.standIn.ServeChat}, {&media, w.standIn.ServeMedia}} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		must(w, err)
		*s.at = ln.Addr().String()
		go s.serve(ln)
	}
	w.mediaCA = write(w, w.authority(media), w.dir, "media-ca.pem")
	return chat, media
}

// authority is the certificate that vouches for the stand-in's media server.
func (w *world) authority(media string) string {
	c, err := tls.Dial("tcp", media, w.mediaTLS())
	must(w, err)
	defer c.Close()
	chain := c.ConnectionState().VerifiedChains[0]
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: chain[len(chain)-1].Raw}))
}

func (w *world) mediaTLS() *tls.Config {
	return &tls.Config{ServerName: whatsapp.MediaHost, RootCAs: w.standIn.CAs()}
}

// link has the front given, in the words of "culvert link new".
func (w *world) link(pin string, fronts ...string) (file string) {
	w.Helper()
	args := []string{"link", "new", "--secret-file", w.secret, "--user", "7"}
	for _, f := range fronts {
		args = append(args, "--front", f)
	}
	if pin != "" {
		args = append(args, "--pin", pin)
	}
	if w.gate != "" {
		args = append(args, "--gate-file", w.gate)
	}
	out, err := output(filepath.Join(bin, "culvert"), args...)
	must(w, err)
	return write(w, out, w.TempDir(), "link")
}

func (w *world) token() string { return w.tokenOf(7, time.Now()) }

func (w *world) tokenOf(user uint32, at time.Time) string {
	token := wire.NewToken(user, w.master.Client(user).Token, w.master.Pair(user).ProofKey(), at)
	return wire.TokenCookie + "=" + token.Text()
}

// near is "culvert connect".
type near struct {
	w           *world
	chat, media string
}

func (w *world) connect(link string, flags ...string) *near {
	w.Helper()
	n := &near{w, ports.Loopback(), ports.Loopback()}
	args := append([]string{"connect", "--link-file", link, "--chat", n.chat, "--media", n.media, "--state", "none"}, flags...)
	p := start(w, nil, filepath.Join(bin, "culvert"), args...)
	p.up(n.chat)
	p.up(n.media)
	return n
}

// talk sends messages one after another over one chat connection, and waits
// for pause before each.
func (n *near) talk(ctx context.Context, messages int, pause time.Duration) (int, error) {
	c, err := net.Dial("tcp", n.chat)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	trips, err := app.Exchange(ctx, pausing{c, pause}, n.w.standIn.Root(), messages)
	return len(trips), err
}

// pausing waits before it writes.
type pausing struct {
	net.Conn
	pause time.Duration
}

func (p pausing) Write(b []byte) (int, error) {
	if p.pause > 0 {
		<-time.After(p.pause)
	}
	return p.Conn.Write(b)
}

// verdict is what "culvert doctor --json" promises to print.
type verdict struct {
	OK     bool
	Checks []struct {
		Hop, Status, Problem, Cause string
	}
}

// failedAt is the first hop that failed.
func (v verdict) failedAt() string {
	for _, c := range v.Checks {
		if c.Status == "failed" {
			return c.Hop
		}
	}
	return ""
}

func (w *world) doctor(link string, flags ...string) (v verdict, err error) {
	root := w.standIn.Root()
	args := append([]string{"doctor", "--json", "--timeout", "20s", "--link-file", link,
		"--chat-root", hex.EncodeToString(root[:]), "--media-ca", w.mediaCA}, flags...)
	out, err := output(filepath.Join(bin, "culvert"), args...)
	if bad := json.Unmarshal([]byte(out), &v); bad != nil {
		return v, fmt.Errorf("%w: %q: %w", bad, out, err)
	}
	return v, err
}
