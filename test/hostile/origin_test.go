package hostile

import (
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"culvert/internal/wire"
)

// One user opens as many tunnels as the origin lets it. Others open theirs as before.
func TestAUserWithManyTunnelsKeepsNobodyOut(t *testing.T) {
	w := newWorld(t)
	u := w.user(1)
	var resets atomic.Int64
	r, err := w.device(2).carrier(func(f wire.Frame) {
		if f.Kind == wire.Reset {
			resets.Add(1)
		}
	})
	must(t, err)
	defer r.Close()
	must(t, r.opens(1, 8700, opening))
	time.Sleep(3 * time.Second)
	u.wantPrompt(t, "another user", 50, 2*time.Second)
	t.Logf("of 8,700 tunnels %d were reset; origin %d MiB", resets.Load(), w.origin.rss())
	if refused := w.counted("culvert_shares_total", `of="tunnels"`); resets.Load() < 500 || refused < 500 {
		t.Errorf("got %d tunnels reset and a share used up %.0f times: it was no attack", resets.Load(), refused)
	}
	doctor := exec.Command(filepath.Join(bin, "culvert"), "doctor", "--direct", "--upstream-chat", "127.0.0.1:1", "--upstream-media", "127.0.0.1:1", "--admin", w.admin)
	said, _ := doctor.Output() // its code says that nobody is there in WhatsApp's place
	if !strings.Contains(string(said), "users' shares") {
		t.Errorf("got %s, want the operator told that a user's share was used up", said)
	}
}

// Strangers hold sockets open, all from the address by which users come, or from many. A
// valid user gets in within a second all the same.
func TestIdleStrangersKeepNobodyOut(t *testing.T) {
	for name, from := range map[string]func(int) string{"one address": one, "many prefixes": scattered} {
		for _, at := range []string{"origin", "edge"} {
			t.Run(at+" "+name, func(t *testing.T) { idleStrangers(t, at, from) })
		}
	}
}

func idleStrangers(t *testing.T, at string, from func(int) string) {
	w := newWorld(t)
	held := newCrowd(t)
	door, victim := w.door, w.origin
	if at == "edge" {
		door, victim = w.front, w.edge
	}
	const sockets = 5000
	// At the origin each has had an answer and may ask again; at the edge none gets as far as TLS.
	hello := map[string]string{"origin": "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "edge": "\x16\x03\x01"}
	refused := strangers(t, held, sockets, door, hello[at], from)
	time.Sleep(time.Second)
	if n := held.len(); n < sockets*9/10 {
		t.Errorf("got a crowd of %d, want %d", n, sockets)
	}
	other := w.apart().user(2)
	w.user(1).promptAs(t, other, "a user", 1, time.Second)
	t.Logf("%d sockets at the %s, %d refused; %d MiB", sockets, at, refused, victim.rss())
}

// One address comes 2,500 times at once, to an origin that was told that no address is a proxy's.
// Whoever comes by another gets in.
func TestAnAddressThatComesTooOftenIsRefusedAlone(t *testing.T) {
	w := newWorld(t, func(*world) []string { return []string{"CULVERT_PROXIES=none"} })
	other := w.apart().user(2)
	began := time.Now()
	strangers(t, newCrowd(t), 2500, w.door, "GET / HT", func(int) string { return "127.9.9.9" })
	took := time.Since(began)
	w.user(1).promptAs(t, other, "a user", 1, time.Second)
	n := w.counted("culvert_strangers_refused_total")
	t.Logf("of 2,500 connections within %v %.0f were refused", took, n)
	if n == 0 && took < 15*time.Second {
		t.Error("got none refused")
	}
}

// Users who never ack what they are sent, and whose tunnels are never acked, keep nobody
// from moving bytes.
func TestWhoeverDoesNotAckPays(t *testing.T) {
	w := newWorld(t)
	u := w.user(1)
	const size = 24 << 20
	held := newCrowd(t)
	for link := range uint32(4) {
		r, err := w.device(10 + link).carrier(nil)
		must(t, err)
		held.add(r)
		must(t, r.hoards(64, 64<<10))
	}
	time.Sleep(2 * time.Second)
	var best, apart float64
	for range 3 { // whatever else this machine does takes from both
		rate, err := u.moves(size)
		must(t, err)
		other, err := w.apart().honest().moves(size)
		must(t, err)
		best, apart = max(best, rate), max(apart, other)
	}
	pays := w.counted("culvert_shares_total", `of="memory"`)
	t.Logf("apart %.0f MB/s, beside four who never ack %.0f MB/s; they paid %.0f times; origin %d MiB", apart, best, pays, w.origin.rss())
	if best < apart/3 {
		t.Errorf("got %.0f MB/s, want at least a third of %.0f", best, apart)
	}
	if pays == 0 {
		t.Error("got nobody who pays: it was no attack")
	}
}

// hoards opens tunnels, sends by each all that may be sent but a byte near the beginning, so
// that the origin can pass nothing on, and acks nothing of what comes back.
func (r *rogue) hoards(tunnels uint32, each uint64) error {
	if err := r.opens(1, tunnels, opening); err != nil {
		return err
	}
	chunk := make([]byte, 16<<10)
	for pos := uint64(len(opening)) + 1; pos < each; pos += uint64(len(chunk)) {
		for id := uint32(1); id <= tunnels; id++ {
			if err := r.write(wire.Frame{Kind: wire.Data, Tunnel: id, Pos: pos, Body: chunk}); err != nil {
				return err
			}
		}
	}
	return nil
}
