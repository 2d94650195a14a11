package tunnel

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/share"
	"culvert/internal/wire"
)

// Shares are what an end has, divided among users and their sessions. A nil one is
// unbounded.
type Shares struct {
	Windows  *share.Bound[uint32] // what windows have grown beyond FirstWindow, and what is kept for peers beyond firstCredit a tunnel
	Memory   *share.Bound[uint32] // bytes that are kept at this moment
	Tunnels  *share.Bound[uint32] // of carriers that have proved themselves
	Carriers *share.Bound[uint32] // that have proved themselves
}

// NewWindows allows windows to grow by n bytes. Those are promised, and not there yet:
// whoever has less than another grows in any case.
func NewWindows(n int64) *share.Bound[uint32] { return share.NewBound[uint32](n).WithoutReserve() }

// accounts are what a session has of Shares. All sessions of a client have one.
type accounts struct{ windows, memory, tunnels, carriers *share.Account[uint32] }

func (s *Shares) open(user uint32, of *Session) accounts {
	return accounts{s.Windows.Open(user, of), s.Memory.Open(user, of), s.Tunnels.Open(user, of), s.Carriers.Open(user, of)}
}

func (a *accounts) close() {
	for _, one := range []*share.Account[uint32]{a.windows, a.memory, a.tunnels, a.carriers} {
		one.Close()
	}
}

// accounts is what t is counted for. t.mu is held.
func (t *Tunnel) accounts() *accounts {
	if t.table.isClient {
		return &t.table.own
	}
	return &t.session.accounts
}

// keep counts bytes that are kept more, or less, and has whoever keeps most give some up if
// there are too many. t.mu is held.
func (t *Tunnel) keep(n int64) {
	account := t.accounts().memory
	if _, payer := account.Add(n); payer != nil {
		payer.Of.(*Session).payMemory(account)
	}
}

// roomFor is how many bytes more may be kept for t's session. t.mu is held.
func (t *Tunnel) roomFor() int64 {
	left, _ := t.accounts().memory.Add(0)
	return left
}

// payMemory resets the tunnel that keeps most, soon and one at a time, for another account.
func (s *Session) payMemory(another *share.Account[uint32]) {
	if s.paying.Swap(true) {
		return
	}
	paid := s.table.tasks.Go(func() {
		defer s.paying.Store(false)
		if s.pay(math.MaxInt, func(t *Tunnel) int64 { return t.send.bytes + t.recv.bytes }) {
			s.accounts.memory.Pay(another)
		}
	})
	if !paid {
		s.paying.Store(false)
	}
}

// pay resets the tunnel of which by says most, of all or of some by chance; false if there is none.
func (s *Session) pay(of int, by func(*Tunnel) int64) bool {
	t := s.most(of, by)
	if t != nil {
		t.Reset(wire.Busy)
	}
	return t != nil
}

func (s *Session) most(of int, by func(*Tunnel) int64) (most *Tunnel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var value int64
	for i := range min(of, len(s.tunnels)) {
		if of < len(s.tunnels) {
			i = rand.IntN(len(s.tunnels))
		}
		t := s.tunnels[i]
		t.mu.Lock()
		v := by(t)
		t.mu.Unlock()
		if most == nil || v > value {
			most, value = t, v
		}
	}
	return most
}

// compared is of how many tunnels one is chosen to end for another: a session may have
// thousands, and many may come.
const compared = 64

// idleFor is how long ago t's stream said something; more than any if it never did.
func (t *Tunnel) idleFor() int64 {
	if t.send.read == 0 {
		return 1<<62 - int64(t.id)
	}
	return -t.reader.last
}

// Charge counts a tunnel that begins; false if the session's user has most, and the session
// most of the user's. If there are too many one of whoever has most is reset soon.
func (s *Session) Charge() bool {
	payer, ok := s.accounts.tunnels.Take(1)
	if payer == nil {
		return ok
	}
	of := payer.Of.(*Session)
	if !of.owe(s.accounts.tunnels, of.User == s.User) { // a user who opens faster than tunnels end
		s.Uncharge()
		return false
	}
	return true
}

// maxOwed is how many tunnels a session may have to end for others of its user's.
const maxOwed = 64

// owe has a tunnel end soon for another account: those that are owed one after another, so that what is
// to end keeps nothing else waiting. It returns false if as many are owed as may be.
func (s *Session) owe(another *share.Account[uint32], bounded bool) bool {
	s.owedMu.Lock()
	defer s.owedMu.Unlock()
	if bounded && len(s.owed) >= maxOwed {
		return false
	}
	if s.owed = append(s.owed, another); len(s.owed) == 1 {
		s.table.tasks.Go(s.payOwed)
	}
	return true
}

// payOwed ends as many tunnels as are owed.
func (s *Session) payOwed() {
	for owes := true; owes; {
		ended := s.pay(compared, (*Tunnel).idleFor)
		s.owedMu.Lock()
		if ended {
			s.accounts.tunnels.Pay(s.owed[0])
		}
		s.owed[0], s.owed = nil, s.owed[1:]
		owes = len(s.owed) > 0
		s.owedMu.Unlock()
	}
}

// ChargeAnyway counts a tunnel that has begun.
func (s *Session) ChargeAnyway() { s.accounts.tunnels.Add(1) }

// Uncharge undoes one of these.
func (s *Session) Uncharge() { s.accounts.tunnels.Give(1) }

// Admit counts a carrier that has proved itself, until it ends; false as with Charge. If
// there are too many one of whoever has most ends.
func (s *Session) Admit(c *carrier.Carrier) bool {
	payer, ok := s.accounts.carriers.Take(1)
	if !ok {
		return false
	}
	s.mu.Lock()
	s.charged = append(s.charged, c)
	if c.Dead() { // and its end was told before
		s.dismiss(c)
	}
	s.mu.Unlock()
	for ; payer != nil; payer = s.table.Shares.Carriers.Excess() {
		if !payer.Of.(*Session).endOldest(c) {
			break // those who have most are about to be charged with it
		}
		payer.Pay(s.accounts.carriers)
	}
	return true
}

// dismiss uncounts a carrier that has ended. s.mu is held.
func (s *Session) dismiss(c *carrier.Carrier) {
	if i := slices.Index(s.charged, c); i >= 0 {
		s.charged = slices.Delete(s.charged, i, i+1)
		s.accounts.carriers.Give(1)
	}
}

// endOldest ends the carrier that has been silent for longest, and counts it no more from now on; false if
// there is none but newest.
func (s *Session) endOldest(newest *carrier.Carrier) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	var oldest *carrier.Carrier
	for _, c := range s.charged {
		if c != newest && (oldest == nil || c.Quiet(now) > oldest.Quiet(now)) {
			oldest = c
		}
	}
	if oldest == nil {
		return false
	}
	s.dismiss(oldest)
	s.table.tasks.Go(oldest.Close)
	return true
}
