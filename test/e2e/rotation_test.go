package e2e

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"culvert/client"
	"culvert/edge"
	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/serve"
	"culvert/internal/wire"
	"culvert/origin"
	"culvert/test/emulator"
)

// secrets are those of one generation.
type secrets struct {
	master seal.Master
	gate   wire.GateKey
}

func newSecrets() secrets {
	var s secrets
	rand.Read(s.gate[:])
	s.master = seal.NewMaster().WithGate(s.gate)
	return s
}

// rotating is a deployment whose secrets change: an origin, its two doors, and
// the functions.
type rotating struct {
	*world
	*api
	inside, stream *forwarder
	accepted       []secrets // the newest first
	functions      latest
	drained        chan error
}

// latest is functions that are replaced by others.
type latest struct {
	atomic.Pointer[emulator.Routes]
}

// one is a function that goes on when the others change.
type one func(context.Context, []byte) ([]byte, error)

func (f one) Invoke(ctx context.Context, event []byte) ([]byte, error) { return f(ctx, event) }

func (l *latest) routes() emulator.Routes {
	by := func(pick func(*emulator.Routes) emulator.Function) one {
		return func(ctx context.Context, event []byte) ([]byte, error) { return pick(l.Load()).Invoke(ctx, event) }
	}
	return emulator.Routes{
		Connect:    by(func(r *emulator.Routes) emulator.Function { return r.Connect }),
		Default:    by(func(r *emulator.Routes) emulator.Function { return r.Default }),
		Disconnect: by(func(r *emulator.Routes) emulator.Function { return r.Disconnect }),
	}
}

func newRotating(w *world) *rotating {
	r := &rotating{world: w, inside: w.forward(""), stream: w.forward(""), accepted: []secrets{newSecrets()}, drained: make(chan error, 4)}
	r.api = w.api(apiOptions{
		origin: r.accept,
		routes: func(string, emulator.Settings) (emulator.Routes, func()) { return r.functions.routes(), func() {} },
	})
	r.lead(r.far)
	r.updateFunctions()
	return r
}

// accept has an origin read the newest secrets.
func (r *rotating) accept(c *origin.Config) {
	c.Master, c.Older, c.Gates = r.accepted[0].master, nil, r.gates()
	for _, s := range r.accepted[1:] {
		c.Older = append(c.Older, s.master)
	}
}

func (r *rotating) gates() (keys wire.GateKeys) {
	for _, s := range r.accepted {
		keys = append(keys, s.gate)
	}
	return keys
}

// lead has new carriers and messages without a ticket go to o.
func (r *rotating) lead(o far) {
	door := r.serve(tls.NewListener(o.Wrap(r.net.listen(r)), serverTLS(certificate())), serve.Service{Handler: o})
	r.stream.target.Store(door.addr)
	r.inside.target.Store(o.addr)
}

// updateFunctions replaces the functions by ones with the newest secrets.
func (r *rotating) updateFunctions() {
	gate, err := edge.New(edge.Config{
		Keys: r.gates(), Origin: &url.URL{Scheme: "http", Host: r.inside.addr()}, API: "local", Stage: "v1", Client: r.httpClient(),
	})
	must(r, err)
	routes, end := emulator.GateRoutes(gate, emulator.Settings{Timeout: 15 * time.Second})
	r.Cleanup(end)
	r.functions.Store(&routes)
}

// rotate keeps two generations. The new origin is there before the old one, which
// serves what it holds, is left.
func (r *rotating) rotate() {
	r.accepted = []secrets{newSecrets(), r.accepted[0]}
	old := r.far
	r.far = r.api.origin(r.world, apiOptions{origin: r.accept})
	r.lead(r.far)
	ctx, cancel := context.WithCancel(context.Background())
	r.Cleanup(cancel)
	go func() { r.drained <- old.Drain(ctx) }()
}

// user is a client with a link of these secrets, and what it has open.
type user struct {
	*near
	cut  *forwarder // what its carriers go through
	talk chat
	down *download
}

// users are one at each door.
func (r *rotating) users(s secrets) map[string]*user {
	gateway := r.forward(r.clients.addr)
	by := func(number uint32, cut *forwarder, front link.Front) *user {
		n := r.clientOf(client.Config{Link: &link.Link{Keys: s.master.Client(number), Fronts: []link.Front{front}}})
		return &user{near: n, cut: cut}
	}
	return map[string]*user{
		"stream door":  by(1, r.stream, r.world.front(r.stream.addr())),
		"gateway door": by(2, gateway, r.textFront(gateway.addr())),
	}
}

func (u *user) begin(size int64) {
	u.ready()
	u.talk, u.down = u.chat(), u.download(1, size)
}

// cutAll ends the carriers of the users, and nothing else.
func cutAll(users map[string]*user) {
	for _, u := range users {
		u.cut.kill()
	}
}

// goOn wants an answer, and another part of the download, from each user.
func goOn(t *testing.T, users map[string]*user, when string) {
	t.Helper()
	for door, u := range users {
		if took, err := u.talk.ping(20 * time.Second); err != nil || took > 5*time.Second {
			t.Fatalf("%s, %s: chat: got %v after %v", door, when, err, took)
		}
		if err := u.down.upTo(u.down.check.n+1<<20, 20*time.Second); err != nil {
			t.Fatalf("%s, %s: download: %v", door, when, err)
		}
	}
}

// end wants all that is open to end in order, and something new to open before.
func (u *user) end(t *testing.T, door string) {
	t.Helper()
	_, opened := u.chat().ping(5 * time.Second)
	if err := errors.Join(opened, u.down.rest(time.Minute), u.talk.finish()); err != nil {
		t.Errorf("%s: %v", door, err)
	}
	u.stop()
}

// A rotation cuts nobody: neither door loses a connection while the origin and
// then the functions are replaced, nor when carriers die in between. After the
// second one, a link of the first secrets is none any more.
func TestARotationCutsNobody(t *testing.T) {
	t.Parallel()
	r := newRotating(newWorld(t))
	first := r.accepted[0]
	old := r.users(first)
	for _, u := range old {
		u.begin(24 << 20)
	}
	goOn(t, old, "before")
	r.rotate()
	goOn(t, old, "with the new origin")
	cutAll(old)
	goOn(t, old, "after a cut")
	r.updateFunctions()
	goOn(t, old, "with the new functions")
	cutAll(old)
	goOn(t, old, "after another cut")
	for door, u := range old {
		u.end(t, door+", an old link")
	}
	wantDrained(t, r.drained)
	for door, u := range r.users(r.accepted[0]) {
		u.begin(1 << 20)
		u.end(t, door+", a new link")
	}
	r.rotate()
	r.updateFunctions()
	r.wantNone(t, first)
}

// A rotation may follow the last one at once: whoever has a link of the secrets between
// loses nothing, though functions and origins forget those before.
func TestTwoRotationsInARowCutNobodyWhoseLinkIsGood(t *testing.T) {
	t.Parallel()
	r := newRotating(newWorld(t))
	r.rotate()
	r.updateFunctions()
	users := r.users(r.accepted[0])
	for _, u := range users {
		u.begin(24 << 20)
	}
	goOn(t, users, "after the first")
	r.rotate()
	goOn(t, users, "with the next origin")
	r.updateFunctions()
	goOn(t, users, "with the next functions")
	cutAll(users)
	goOn(t, users, "after a cut")
	for door, u := range users {
		u.end(t, door)
	}
}

// wantNone wants the links of s refused at both doors, in words for their users.
func (r *rotating) wantNone(t *testing.T, s secrets) {
	t.Helper()
	for door, u := range r.users(s) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		if err := u.WaitReady(ctx); !errors.Is(err, client.ErrNotLetIn) {
			t.Errorf("%s: got %v, want %v", door, err, client.ErrNotLetIn)
		}
		cancel()
	}
}
