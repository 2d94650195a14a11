package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"culvert/internal/link"
	"culvert/test/ports"
)

// relay is two processes of this machine that lead from an address to a farEnd, and the path between them.
type relay struct {
	name      string
	at        string   // where its near end takes connections
	path      *path    // nil: there is nothing between
	near, far *program // far is nil where one process does all
	says      string   // before what a connection is for
	cut       bool     // its near end dials again when the path was cut
}

func (r *relay) end() {
	r.near.end()
	r.far.end()
	if r.path != nil {
		r.path.close()
	}
}

// cpu is the CPU time of both ends, in seconds.
func (r *relay) cpu() (sum float64) {
	for _, p := range r.processes() {
		sum += cpuSeconds(p.Process.Pid)
	}
	return sum
}

// memory is that of both ends, in KiB.
func (r *relay) memory() (sum int64) {
	for _, p := range r.processes() {
		sum += pss(p.Process.Pid)
	}
	return sum
}

func (r *relay) processes() []*program {
	if r.far == nil {
		return []*program{r.near}
	}
	return []*program{r.near, r.far}
}

// open makes a connection for something.
func (r *relay) open(what byte) (net.Conn, error) {
	c, err := net.DialTimeout("tcp", r.at, 10*time.Second)
	if err != nil {
		return nil, err
	}
	if _, err := c.Write(append([]byte(r.says), what)); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// isReady waits until a byte has come back by the whole relay.
func (r *relay) isReady() error {
	var err error
	for end := time.Now().Add(2 * readyWithin); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = r.echoes(2 * time.Second); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%s is not ready: %w", r.name, err)
}

// echoes makes a connection, has a byte come back, and closes it.
func (r *relay) echoes(within time.Duration) error {
	c, err := r.open(toEcho)
	if err != nil {
		return err
	}
	defer c.Close()
	return say(c, within)
}

// relays are those that are compared: what starts each, between two addresses, with a path or without.
type relays struct {
	*gateway
	self string // this program
	to   *farEnd
}

// names are of the relays, ours first; all is compared with the last.
var names = []string{"Culvert", "TLS copy"}

// start starts the relay of a name. A path of trip lies between its ends; below 0: none does.
func (s *relays) start(ctx context.Context, name string, trip time.Duration) (r *relay, err error) {
	r = &relay{name: name}
	defer func() {
		if err != nil {
			r.end()
		}
	}()
	far := ports.Loopback()
	dialled := far
	if trip >= 0 {
		if r.path, err = newPath("127.0.0.1:0", far, trip); err != nil {
			return r, err
		}
		dialled = r.path.ln.Addr().String()
	}
	r.at = ports.Loopback()
	begin := s.copy
	if name == names[0] {
		begin = s.culvert
	}
	if err := begin(ctx, r, far, dialled); err != nil {
		return r, err
	}
	return r, r.isReady()
}

// copy starts two ends of runCopy.
func (s *relays) copy(ctx context.Context, r *relay, far, dialled string) (err error) {
	r.far, err = start(ctx, s.file("copy-far.log"), s.self, nil, "copy", "-listen", far, "-dial", s.to.at(), "-cert", s.file("cert.pem"), "-key", s.file("key.pem"))
	if err != nil {
		return err
	}
	if err = r.far.listens(ctx, far); err != nil {
		return err
	}
	r.near, err = start(ctx, s.file("copy-near.log"), s.self, nil, "copy", "-listen", r.at, "-dial", dialled)
	return err
}

// culvert starts an origin with TLS, and a client whose only front it is.
func (s *relays) culvert(ctx context.Context, r *relay, far, dialled string) (err error) {
	r.cut = true
	env := []string{"CULVERT_LISTEN=" + far, "CULVERT_ADMIN_LISTEN=off", "CULVERT_SECRET_FILE=" + s.file("secret"), "CULVERT_GATE_FILE=" + s.file("gate"),
		"CULVERT_TLS_CERT=" + s.file("cert.pem"), "CULVERT_TLS_KEY=" + s.file("key.pem"), "CULVERT_UPSTREAM_CHAT=" + s.to.at(), "CULVERT_ALLOW_PRIVATE=true"}
	if r.far, err = start(ctx, s.file("origin.log"), filepath.Join(s.programs, "origin"), env); err != nil {
		return err
	}
	front := link.Front{Host: dialled, Path: "/", Pins: []link.Pin{s.pin}}
	l := &link.Link{Keys: s.master.Client(1), Fronts: []link.Front{front}}
	err = errors.Join(os.WriteFile(s.file("link"), []byte(l.String()+"\n"), 0o600), r.far.listens(ctx, far))
	if err != nil {
		return err
	}
	r.near, err = start(ctx, s.file("client.log"), filepath.Join(s.programs, "culvert"), nil, "connect", "--link-file", s.file("link"), "--raw-chat", r.at, "--state", "none")
	return err
}

// sixtyFour says 64 bytes and waits until they are back.
func sixtyFour(c net.Conn, b *[64]byte) (time.Duration, error) {
	began := time.Now()
	c.SetDeadline(began.Add(10 * time.Second))
	if _, err := c.Write(b[:]); err != nil {
		return 0, err
	}
	_, err := io.ReadFull(c, b[:])
	return time.Since(began), err
}
