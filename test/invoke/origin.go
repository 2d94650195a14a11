package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"culvert/internal/seal"
	"culvert/internal/wire"
	"culvert/test/ports"
)

// localOrigin is bin/origin, with an API Gateway that takes all its posts.
type localOrigin struct {
	at     netip.AddrPort
	secret string
	keys   wire.GateKeys
	master string   // what the keys of users follow from
	proof  [32]byte // the user's ProofKey
	posts  *httptest.Server
	dir    string
	cmd    *exec.Cmd
	said   bytes.Buffer
}

// startOrigin returns when the origin answers at host.
func startOrigin(ctx context.Context, host netip.Addr) (*localOrigin, error) {
	o := &localOrigin{posts: httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))}
	o.secret, o.keys = newGate()
	master := seal.NewMaster()
	o.master, o.proof = master.Text(), master.Pair(user).ProofKey()
	if err := o.start(ctx, host); err != nil {
		o.stop()
		return nil, fmt.Errorf("start the origin: %w\n%s", err, &o.said)
	}
	return o, nil
}

func (o *localOrigin) start(ctx context.Context, host netip.Addr) (err error) {
	if o.at, err = ports.On(host); err != nil {
		return fmt.Errorf("is Docker on another machine? %w", err)
	}
	if o.dir, err = os.MkdirTemp("", "culvert-origin"); err != nil {
		return err
	}
	err = errors.Join(os.WriteFile(o.file("gate"), []byte(o.secret), 0o600), os.WriteFile(o.file("secret"), []byte(o.master), 0o600))
	if err != nil {
		return err
	}
	if err = o.launch(ctx); err != nil {
		return err
	}
	return o.answers(ctx)
}

func (o *localOrigin) file(name string) string { return filepath.Join(o.dir, name) }

func (o *localOrigin) launch(ctx context.Context) error {
	o.cmd = exec.CommandContext(ctx, "bin/origin")
	o.cmd.Cancel = func() error { return o.cmd.Process.Signal(os.Interrupt) }
	o.cmd.WaitDelay = 3 * time.Second
	o.cmd.Stderr, o.cmd.Stdout = &o.said, &o.said
	o.cmd.Env = []string{
		"CULVERT_SECRET_FILE=" + o.file("secret"), "CULVERT_GATE_FILE=" + o.file("gate"), "CULVERT_GATEWAY=" + o.posts.URL + "/" + stage,
		"CULVERT_LISTEN=" + o.at.String(), "CULVERT_ADVERTISE=" + o.at.String(),
		"CULVERT_ADMIN_LISTEN=off", "CULVERT_DRAIN=1s",
		"AWS_ACCESS_KEY_ID=none", "AWS_SECRET_ACCESS_KEY=none", "AWS_REGION=eu-central-1",
	}
	if err := o.cmd.Start(); err != nil {
		o.cmd = nil
		return fmt.Errorf("%w; 'make build' builds it", err)
	}
	return nil
}

// answers waits until the origin does.
func (o *localOrigin) answers(ctx context.Context) error {
	for range 100 {
		c, err := net.DialTimeout("tcp", o.at.String(), time.Second)
		if err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return errors.New("it does not answer")
}

// settings are what functions are told of the origin.
func (o *localOrigin) settings() map[string]string {
	return map[string]string{
		"CULVERT_ORIGIN": "http://" + o.at.String(), "CULVERT_GATE": o.secret, "CULVERT_API": api, "CULVERT_STAGE": stage,
	}
}

func (o *localOrigin) stop() {
	if o.cmd != nil {
		o.cmd.Process.Kill()
		o.cmd.Wait()
	}
	o.posts.Close()
	os.RemoveAll(o.dir)
}
