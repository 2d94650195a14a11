package client

import (
	"crypto/sha256"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"culvert/internal/dial"
	"culvert/internal/link"
	"culvert/internal/version"
)

// fronts are those by which the client may reach the origin: the link's, and those that came later, in a
// list. A front keeps its number, from 0, for as long as the Client lives; the link's come first. Its
// methods may be called by many goroutines.
type fronts struct {
	link    *link.Link
	now     func() time.Time
	changed chan struct{}    // has room for one: a list has come
	confine func(link.Front) // is told of each front of a list before it may be dialled; nil: nobody is

	mu      sync.RWMutex // guards the following
	all     []*knownFront
	order   []int      // those that may be used, in the order in which to try them
	list    *link.List // the newest; nil: none has come
	isOlder bool       // the link has other fronts than when the list came: it is newer
	isOver  bool       // the list has expired
}

// knownFront is one of the fronts.
type knownFront struct {
	link.Front
	clock frontClock
}

// maxFronts bounds the fronts that a Client has known.
const maxFronts = 256

var (
	errListOlder   = errors.New("it is older than the one that is kept")
	errListExpired = errors.New("it has expired")
)

func newFronts(l *link.Link, now func() time.Time) *fronts {
	f := &fronts{link: l, now: now, changed: make(chan struct{}, 1)}
	for _, one := range l.Fronts {
		f.add(one)
	}
	f.arrange()
	return f
}

// add makes a front known. mu is held.
func (f *fronts) add(one link.Front) (number int) {
	k := &knownFront{Front: one}
	k.clock.built = version.Read().Time
	f.all = append(f.all, k)
	return len(f.all) - 1
}

// at is the front of a number.
func (f *fronts) at(number int) *knownFront {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.all[number]
}

// inOrder lists the numbers of the fronts that may be used, in the order in which to try them. There is
// one at least. The caller must not change it.
func (f *fronts) inOrder() []int {
	f.mu.RLock()
	order, isOver := f.order, f.list != nil && !f.isOver && f.hasExpired(f.list)
	f.mu.RUnlock()
	if !isOver {
		return order
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.arrange()
	return f.order
}

// has reports whether one of the fronts that may be used is as is says.
func (f *fronts) has(is func(link.Front) bool) bool {
	return slices.ContainsFunc(f.inOrder(), func(i int) bool { return is(f.at(i).Front) })
}

// after is the front after another, in their order, and after the last the first.
func (f *fronts) after(number int) int {
	order := f.inOrder()
	return order[(slices.Index(order, number)+1)%len(order)]
}

// from moves one of the fronts given to their beginning, which are in order: a good one, or else the next after it.
func (f *fronts) from(good int, order []int) {
	all := f.inOrder()
	place := func(i int) int { return slices.Index(all, i) }
	from := place(good)
	if at := slices.IndexFunc(order, func(i int) bool { return place(i) >= from }); at > 0 {
		first := order[at]
		copy(order[1:], order[:at])
		order[0] = first
	}
}

// isGone reports whether a front is not to be used any more.
func (f *fronts) isGone(number int) bool { return !slices.Contains(f.inOrder(), number) }

// known is the version of the list that an origin need not send again.
func (f *fronts) known() uint32 {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.list == nil || f.isOlder {
		return 0
	}
	return f.list.Version
}

// later is how many of the fronts that may be used came by a list, and its version; 0: there is none.
func (f *fronts) later() (count int, version uint32) {
	for _, i := range f.inOrder() {
		if i >= len(f.link.Fronts) {
			count++
		}
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.list != nil && !f.isOver {
		version = f.list.Version
	}
	return count, version
}

// hasExpired judges by the clock, but one that was before the list is wrong.
func (f *fronts) hasExpired(l *link.List) bool {
	now := f.now()
	if now.Before(l.Made()) {
		now = l.Made()
	}
	return !now.Before(l.Expires)
}

// take has a list hold from now on, unless there is a newer one. isOlder says that the link is newer
// than it.
func (f *fronts) take(l *link.List, isOlder bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.hasExpired(l):
		return errListExpired
	case f.list != nil && (l.Version < f.list.Version || l.Version == f.list.Version && !f.isOlder):
		return errListOlder
	}
	f.list, f.isOlder = l, isOlder
	f.arrange()
	return nil
}

// arrange makes the order. A list that leaves no front is as none. mu is held.
func (f *fronts) arrange() {
	var own, later []int
	f.isOver = f.list != nil && f.hasExpired(f.list)
	holds := f.list != nil && !f.isOver
	if holds {
		later = f.listed()
	}
	for i := range f.link.Fronts {
		isGone := holds && !f.isOlder && f.list.Withdraws(f.all[i].Front)
		if !isGone && !slices.Contains(later, i) {
			own = append(own, i)
		}
	}
	if f.order = append(later, own...); holds && f.isOlder {
		f.order = append(own, later...)
	}
	if len(f.order) == 0 {
		for i := range f.link.Fronts {
			f.order = append(f.order, i)
		}
	}
}

// listed are the fronts of the list that may be dialled. mu is held.
func (f *fronts) listed() (numbers []int) {
	for _, one := range f.list.Fronts {
		spelled := one.String()
		i := slices.IndexFunc(f.all, func(k *knownFront) bool { return k.String() == spelled })
		switch {
		case i < 0 && (len(f.all) == maxFronts || !f.mayDial(one)):
			continue
		case i < 0:
			i = f.add(one)
			if f.confine != nil {
				f.confine(one)
			}
		}
		numbers = append(numbers, i)
	}
	return numbers
}

// mayDial reports whether a front of a list names addresses alone that one may lead to, and hosts of the public
// internet, or of the link's: what a proxy makes of a name is not seen here.
func (f *fronts) mayDial(one link.Front) bool {
	for _, s := range one.Addrs() {
		e, err := dial.ParseEndpoint(s)
		if err != nil || isPrivateName(e.Host) && !f.isOwn(e.Host) {
			return false
		}
	}
	for _, a := range addressesOf(one) {
		if !f.mayLeadTo(a) {
			return false
		}
	}
	return true
}

// privateNames are what names end in that mean something to a network alone (RFC 6761, 6762, 8375, and ICANN's SAC113),
// or that networks use though nobody has said so.
var privateNames = []string{"local", "localhost", "localdomain", "internal", "intranet", "private", "corp", "home", "lan", "home.arpa"}

// isPrivateName reports whether a host, which may be an address, is a name of no public host.
func isPrivateName(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	return !strings.Contains(host, ".") || slices.ContainsFunc(privateNames, func(end string) bool { return strings.HasSuffix(host, "."+end) })
}

// isOwn reports whether a front of the link is to be dialled at a host.
func (f *fronts) isOwn(host string) bool {
	return slices.ContainsFunc(f.link.Fronts, func(own link.Front) bool {
		return slices.ContainsFunc(own.Addrs(), func(s string) bool {
			e, err := dial.ParseEndpoint(s)
			return err == nil && e.Host == host
		})
	})
}

// mayLeadTo reports whether a front of a list may be at an address: one of the public internet, or one
// that the link itself has.
func (f *fronts) mayLeadTo(a netip.Addr) bool {
	return dial.IsPublic(a) || slices.ContainsFunc(f.link.Fronts, func(own link.Front) bool {
		return slices.Contains(addressesOf(own), a.Unmap())
	})
}

// addressesOf are the addresses that a front is to be dialled at.
func addressesOf(one link.Front) (all []netip.Addr) {
	for _, s := range one.Addrs() {
		if e, err := dial.ParseEndpoint(s); err == nil {
			if a, err := netip.ParseAddr(e.Host); err == nil {
				all = append(all, a.Unmap())
			}
		}
	}
	return all
}

// refused is how many fronts of the list are not to be dialled.
func (f *fronts) refused() int {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.list == nil {
		return 0
	}
	n := 0
	for _, one := range f.list.Fronts {
		if spelled := one.String(); !slices.ContainsFunc(f.all, func(k *knownFront) bool { return k.String() == spelled }) {
			n++
		}
	}
	return n
}

// tagOf tells a link's fronts from others.
func tagOf(l *link.Link) [8]byte {
	h := sha256.New()
	for _, one := range l.Fronts {
		h.Write([]byte(one.String() + "\n"))
	}
	return [8]byte(h.Sum(nil))
}
