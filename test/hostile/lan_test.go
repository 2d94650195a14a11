package hostile

import (
	"fmt"
	"net"
	"testing"
	"time"
)

// phone is an address of another machine on the household's network.
func phone(i int) string { return fmt.Sprintf("10.9.%d.%d", i/250, 1+i%250) }

// errNoLAN says that there is no such network.
func errNoLAN() error {
	ln, err := net.Listen("tcp", phone(0)+":0")
	if err != nil {
		return fmt.Errorf("there is no network 10.9.0.0/16 on this machine, and .ci/hostile makes one for root alone: %w", err)
	}
	return ln.Close()
}

// onLAN skips the test where there is no such network.
func onLAN(t *testing.T) {
	t.Helper()
	if err := errNoLAN(); err != nil {
		t.Skip(err)
	}
}

// A stranger on a household's network opens 9,000 connections, each with the beginning of a
// chat, by one address and by a thousand. Neither another phone there nor another household notices.
func TestAStrangerOnTheLANKeepsNobodyOut(t *testing.T) {
	for name, from := range map[string]func(int) string{
		"one address":        func(int) string { return phone(7) },
		"a thousand of them": func(i int) string { return phone(250 + i%1000) },
	} {
		t.Run(name, func(t *testing.T) { keepsNobodyOut(t, from) })
	}
}

func keepsNobodyOut(t *testing.T, from func(int) string) {
	onLAN(t)
	w := newWorld(t)
	home, away := w.lan(1), w.user(2)
	held, i := newCrowd(t), 0
	seen := home.chatsWhile(phone(1), func(<-chan struct{}) {
		paced(9000, 1500, func() {
			strangers(t, held, 1, home.chat, opening, func(int) string { return from(i) })
			i++
		})
	})
	began := time.Now()
	_, late := home.talkFrom(phone(2), 0, time.Millisecond)
	took := time.Since(began)
	away.wantPrompt(t, "another household", 50, 2*time.Second)
	t.Logf("%d connections: a phone beside it %v, apart %v, another's first message after %v; client %d MiB, origin %d MiB, %v tunnels",
		held.len(), seen.beside, seen.apart, took, home.rss(), w.origin.rss(), w.metrics()["culvert_tunnels"])
	if n := held.len(); n < 2000 {
		t.Errorf("got a crowd of %d: it was no attack", n)
	}
	wantCalm(t, "a phone beside it", seen)
	if limit := time.Second + 5*seen.apart.at(1); late != nil || took > limit {
		t.Errorf("another phone: got %v and its first message after %v, want it within %v", late, took, limit)
	}
	if n := w.metrics()["culvert_tunnels"]; n > 2000 {
		t.Errorf("got %v tunnels at the origin, want the client to bound them", n)
	}
}

// lan is a user whose client lets phones on its network in.
func (w *world) lan(number int) *user { return w.user(number, "--lan", "--host", phone(0)) }
