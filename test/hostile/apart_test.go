package hostile

import (
	"testing"
	"time"
)

// apart is another world, by programs of its own, which nobody attacks. What its user sees at the same
// time tells what this machine does to everybody: how fast it is, what else it does, and what the attackers,
// who have machines of their own elsewhere, take of its processors.
func (w *world) apart() *world {
	w.Helper()
	if w.other == nil {
		w.other = newWorld(w.TB)
	}
	return w.other
}

// honest is the world's first user.
func (w *world) honest() *user {
	w.Helper()
	if w.first == nil {
		w.first = w.user(1)
		w.first.opens(1) // once it is connected
	}
	return w.first
}

// chats are an honest user's while others attack, and at the same time those of a user apart.
type chats struct {
	beside, apart trips
	err           error // what cut the first
}

// chatsWhile chats from an address while attack runs, which is told by stop when it is over.
func (u *user) chatsWhile(from string, attack func(stop <-chan struct{})) (c chats) {
	const pause, during = 10 * time.Millisecond, 3 * time.Second
	other := u.w.apart().honest()
	stop, over := make(chan struct{}), make(chan struct{}, 2)
	go func() { attack(stop); over <- struct{}{} }()
	go func() { c.apart, _ = other.talk(pause, during); over <- struct{}{} }()
	c.beside, c.err = u.talkFrom(from, pause, during)
	close(stop)
	<-over
	<-over
	c.beside, c.apart = c.beside.steady(pause), c.apart.steady(pause)
	return c
}

// steady is what they would be if a message had gone each pause, also while another had not come back: else
// a chat that stands for a second counts as one message of hundreds.
func (t trips) steady(pause time.Duration) (all trips) {
	for _, took := range t {
		for ; took > 0; took -= pause {
			all = append(all, took)
		}
	}
	return all
}

// wantCalm wants a chat to be little slower than the one apart. The median is judged, and the slower ones; of the
// slowest of a few hundred messages a machine that is busy makes what it likes: the soak judges them. Where it is so busy
// that there are few messages, medians lie anywhere in the middle, so the one apart counts by its upper part.
func wantCalm(t testing.TB, who string, c chats) {
	t.Helper()
	p50, p95 := 3*c.apart.at(0.75)+10*time.Millisecond, 3*c.apart.at(0.95)+100*time.Millisecond
	if c.err != nil || c.beside.at(0.5) > p50 || c.beside.at(0.95) > p95 {
		t.Errorf("%s: got %v, p95 %v, and %v; want a p50 of %v and a p95 of %v at most, as another user apart had %v",
			who, c.beside, c.beside.at(0.95), c.err, p50, p95, c.apart)
	}
}

// wantPrompt wants n chats that u begins at once to bring a message back within a time, and ten times what
// a user apart waits that begins as many at the same time. Whoever is kept out waits for much longer.
func (u *user) wantPrompt(t testing.TB, who string, n int, within time.Duration) {
	t.Helper()
	u.promptAs(t, u.w.apart().honest(), who, n, within)
}

// promptAs is wantPrompt with another to compare with.
func (u *user) promptAs(t testing.TB, other *user, who string, n int, within time.Duration) {
	t.Helper()
	apart := make(chan time.Duration, 1)
	go func() { _, slowest := other.opens(n); apart <- slowest }()
	admitted, slowest := u.opens(n)
	limit := within + 10*<-apart
	t.Logf("%s: %d of %d tunnels, the slowest in %v, where %v would do", who, admitted, n, slowest, limit)
	if admitted != n || slowest > limit {
		t.Errorf("%s: got %d of %d tunnels, the slowest in %v, want all within %v", who, admitted, n, slowest, limit)
	}
}
