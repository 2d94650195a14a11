package share

import (
	"cmp"
	"container/list"
	"math"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// Pool bounds what strangers have: sockets, or requests that wait. There is always room for
// another, in the place of one that has it longest and has shown nothing. It may be used by
// many goroutines.
type Pool[K, W comparable] struct {
	bound     *Bound[K]
	strange   *Bound[K] // the places alone that have shown nothing; it is never used up
	displaced atomic.Uint64

	mu    sync.Mutex // guards the following; taken before the bounds'
	of    map[within[K, W]]*held[K, W]
	shown list.List // of the *Place of all that have shown something, the one that did least lately first
}

// within is one within a name.
type within[K, W comparable] struct {
	name K
	one  W
}

// Strangers is a Pool by addresses.
type Strangers = Pool[netip.Prefix, netip.Prefix]

// Place is what a stranger has in a Pool.
type Place[K, W comparable] struct {
	pool     *Pool[K, W]
	held     *held[K, W]
	end      func()
	line     *list.List    // one of held's
	own, all *list.Element // in line, and in the pool's shown
	left     bool
}

// held is the places of one within a name: those that have shown nothing, and those that have.
type held[K, W comparable] struct {
	account *Account[K]
	unshown *Account[K]
	key     within[K, W]
	strange list.List // of *Place, that which is lost first in front
	shown   list.List
}

// front is the place in front of a line; nil if there is none.
func front[K, W comparable](line *list.List) *Place[K, W] {
	if e := line.Front(); e != nil {
		return e.Value.(*Place[K, W])
	}
	return nil
}

// first is the place that is lost first.
func (h *held[K, W]) first() *Place[K, W] {
	return cmp.Or(front[K, W](&h.strange), front[K, W](&h.shown))
}

// NewPool makes a pool with room for size.
func NewPool[K, W comparable](size int) *Pool[K, W] {
	return &Pool[K, W]{bound: NewBound[K](int64(size)), strange: NewBound[K](math.MaxInt64), of: map[within[K, W]]*held[K, W]{}}
}

// Guests is a Pool by addresses of one network.
type Guests = Pool[netip.Addr, struct{}]

// Guest is a place there.
type Guest = Place[netip.Addr, struct{}]

// NewGuests makes a pool for the other machines of a network.
func NewGuests(size int) *Guests { return NewPool[netip.Addr, struct{}](size) }

// Receive gives a connection a place if it comes from another machine. Any other gets none,
// nor does it from no pool.
func Receive(p *Guests, c net.Conn, end func()) *Guest {
	if from, ok := Machine(c); ok && p != nil {
		return p.Enter(from, struct{}{}, end)
	}
	return nil
}

// Machine is the other machine that a connection comes from; false if it comes from this one.
func Machine(c net.Conn) (from netip.Addr, ok bool) {
	tcp, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok || tcp.IP.IsLoopback() {
		return from, false
	}
	return tcp.AddrPort().Addr().Unmap(), true
}

// NewStrangers makes a pool by addresses.
func NewStrangers(size int) *Strangers { return NewPool[netip.Prefix, netip.Prefix](size) }

// Prefix is what an address is counted for, within a network: itself, or the /64 that a
// household has, within a /24 or a /48.
func Prefix(a netip.Addr) (network, within netip.Prefix) {
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return netip.PrefixFrom(a, 24).Masked(), netip.PrefixFrom(a, 32)
	}
	return netip.PrefixFrom(a, 48).Masked(), netip.PrefixFrom(a, 64).Masked()
}

// Enter gives a place to one within a name. end is called, once at most and in the goroutine
// of whoever needs the place, when that is lost; it must not wait.
func (p *Pool[K, W]) Enter(name K, one W, end func()) *Place[K, W] {
	p.mu.Lock()
	h := p.held(within[K, W]{name, one})
	payer, ok := h.account.Take(1)
	var lost *Place[K, W]
	if payer != nil || !ok {
		lost = p.first()
	}
	if !ok {
		h.account.Add(1)
	}
	lost.leave() // after that, so that what the name has does not come to nothing
	place := &Place[K, W]{pool: p, held: h, end: end}
	h.put(place, &h.strange)
	p.mu.Unlock()
	if lost != nil {
		p.displaced.Add(1)
		lost.end()
	}
	return place
}

// first is the place that is lost for another; nil if there is none. While as many as the reserve have shown
// nothing it is one of those, of whoever has most of them. Else it is of whoever has more than the
// reserve, and where nobody has, the one that has shown nothing for longest: those that are about to show
// something are not lost for the next that come.
func (p *Pool[K, W]) first() *Place[K, W] {
	payer, _ := p.strange.most()
	if p.strange.Taken() < max(1, p.bound.reserve) {
		most, has := p.bound.most()
		if idle := front[K, W](&p.shown); has <= p.bound.reserve && idle != nil {
			return idle
		}
		payer = most
	}
	if payer == nil {
		return nil
	}
	if own := p.strange.mostOf(payer.key); own != nil {
		payer = own
	}
	return payer.Of.(*held[K, W]).first()
}

// Shed has one lose its place, that which another would get, and reports whether there was any: something else than
// places is scarce.
func (p *Pool[K, W]) Shed() bool {
	p.mu.Lock()
	lost := p.first()
	lost.leave()
	p.mu.Unlock()
	if lost == nil {
		return false
	}
	p.displaced.Add(1)
	lost.end()
	return true
}

// held finds or makes the places of one. p.mu is held.
func (p *Pool[K, W]) held(key within[K, W]) *held[K, W] {
	h := p.of[key]
	if h == nil {
		h = &held[K, W]{key: key}
		h.account, h.unshown = p.bound.Open(key.name, h), p.strange.Open(key.name, h)
		p.of[key] = h
	}
	return h
}

// Len is how many places are taken.
func (p *Pool[K, W]) Len() int { return int(p.bound.Taken()) }

// Size is how many there are.
func (p *Pool[K, W]) Size() int { return int(p.bound.size) }

// Displaced is how many have lost their place to another.
func (p *Pool[K, W]) Displaced() uint64 { return p.displaced.Load() }

// Stir notes that something has come: of those that have shown as much, others lose their
// place before. Of none it does nothing.
func (l *Place[K, W]) Stir() { l.move(false) }

// Show notes that this is no stranger: all who have shown nothing lose their place before.
func (l *Place[K, W]) Show() { l.move(true) }

func (l *Place[K, W]) move(shown bool) {
	if l == nil {
		return
	}
	l.pool.mu.Lock()
	defer l.pool.mu.Unlock()
	if l.left {
		return
	}
	to := l.line
	if shown {
		to = &l.held.shown
	}
	l.held.take(l)
	l.held.put(l, to)
}

// Leave gives the place back. It may be called more than once.
func (l *Place[K, W]) Leave() {
	if l == nil {
		return
	}
	l.pool.mu.Lock()
	defer l.pool.mu.Unlock()
	l.leave()
}

// leave is Leave; of none it does nothing. Pool.mu is held.
func (l *Place[K, W]) leave() {
	if l == nil || l.left {
		return
	}
	l.left = true
	h := l.held
	h.take(l)
	h.account.Give(1)
	if h.account.Has() == 0 {
		h.account.Close()
		h.unshown.Close()
		delete(l.pool.of, h.key)
	}
}

// put puts a place at the end of a line.
func (h *held[K, W]) put(l *Place[K, W], to *list.List) {
	l.line, l.own = to, to.PushBack(l)
	if to == &h.strange {
		h.unshown.Add(1)
	} else {
		l.all = l.pool.shown.PushBack(l)
	}
}

// take undoes put.
func (h *held[K, W]) take(l *Place[K, W]) {
	l.line.Remove(l.own)
	if l.line == &h.strange {
		h.unshown.Give(1)
	} else {
		l.pool.shown.Remove(l.all)
	}
}
