// Package share divides what there is of something, such as tunnels, bytes or sockets, among
// all who ask for it, so that nobody shuts out another. Its policy is:
//
//  1. What is taken is counted for a name, and for one within it: for a user and a session,
//     or for the prefix of an address and the address.
//  2. An eighth of all is the reserve. While more than that is left, whoever asks takes.
//  3. From the reserve whoever has less than another takes.
//  4. When nothing is left, whoever has less than another takes all the same, and of what
//     whoever has most has taken, something ends: what has shown nothing before what has, and
//     the oldest first.
//  5. The same holds within a name. Whoever has nothing has less than any other.
//  6. Another stranger always takes. What ends for it has shown nothing, and is of whoever has most of that. Where
//     less than the reserve has shown nothing it is of whoever has more than the reserve, or else what has
//     shown nothing for longest.
//  7. What has joined a session is counted for its user, and for no address any more.
//
// Who has most is told to a factor of two where many have much; of two who are alike, the one that
// came to it first has more.
package share

import (
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
)

// reservePart is what part of a bound the reserve is.
const reservePart = 8

// Bound is something of which there is so much and no more. K is what names are. A nil
// one bounds nothing. It may be used by many goroutines.
type Bound[K comparable] struct {
	size, reserve int64
	pressure

	mu    sync.Mutex // guards the following, and all accounts
	taken int64
	names map[K]*name[K]
	spare []*name[K] // that have nothing now, for those that come to have something
	ranks ranks[*name[K]]
}

// pressure is how often a bound has bitten.
type pressure struct{ refused, ended, endedWithin atomic.Uint64 }

// Refused is how often somebody who had most might not take more, or something of what that one had too
// much ended.
func (p *pressure) Refused() uint64 { return p.refused.Load() }

// Ended is how often something had to end, so that one of another name could take.
func (p *pressure) Ended() uint64 { return p.ended.Load() }

// EndedWithin is how often something had to end, so that another of the same name could take.
func (p *pressure) EndedWithin() uint64 { return p.endedWithin.Load() }

// Pay counts that something of the account has ended for another.
func (a *Account[K]) Pay(another *Account[K]) {
	switch {
	case a == another:
		a.bound.refused.Add(1)
	case a.key == another.key:
		a.bound.endedWithin.Add(1)
	default:
		a.bound.ended.Add(1)
	}
}

// name has all that is counted for it, by accounts: those that have something. It is there as long as one has.
type name[K comparable] struct {
	node[*name[K]]
	accounts int
	few      []*Account[K]       // all of them, while there are no more than are compared
	ranks    *ranks[*Account[K]] // after that
}

// top is the account that has most; nil if none has anything, as of no name.
func (n *name[K]) top() (most *Account[K]) {
	if n == nil {
		return nil
	}
	if n.ranks != nil {
		return n.ranks.top()
	}
	for _, a := range n.few {
		if a.node.n > 0 && (most == nil || a.node.n > most.node.n) {
			most = a
		}
	}
	return most
}

func (n *name[K]) open(a *Account[K]) {
	n.accounts++
	if n.ranks == nil && len(n.few) < compared {
		n.few = append(n.few, a)
		return
	}
	if n.ranks == nil {
		n.ranks = &ranks[*Account[K]]{}
		for _, a := range n.few {
			n.ranks.add(&a.node, 0)
		}
		n.few = nil
	}
}

func (n *name[K]) close(a *Account[K]) {
	n.accounts--
	if i := slices.Index(n.few, a); i >= 0 {
		n.few = slices.Delete(n.few, i, i+1)
	}
}

// Account is what one within a name has taken. Whoever opens it closes it when all is given
// back.
type Account[K comparable] struct {
	Of    any // whatever its owner wants to find again when something of it is to end
	node  node[*Account[K]]
	name  *name[K] // nil while the account has nothing, as most of an idle client's have
	bound *Bound[K]
	key   K

	closed bool // nothing is counted any more
}

// NewBound makes a bound of a size.
func NewBound[K comparable](size int64) *Bound[K] {
	return &Bound[K]{size: size, reserve: size / reservePart, names: map[K]*name[K]{}}
}

// WithoutReserve lets whoever is alone take all of b, which it returns.
func (b *Bound[K]) WithoutReserve() *Bound[K] {
	b.reserve = 0
	return b
}

// Open makes an account within a name. A nil Bound has nil accounts.
func (b *Bound[K]) Open(key K, of any) *Account[K] {
	if b == nil {
		return nil
	}
	a := &Account[K]{Of: of, key: key, bound: b}
	a.node.of = a
	return a
}

// Close forgets an account, of which nothing is left.
func (a *Account[K]) Close() {
	if a == nil {
		return
	}
	b := a.bound
	b.mu.Lock()
	defer b.mu.Unlock()
	a.add(-a.node.n)
	a.closed = true
}

// Taken is how much is taken by all.
func (b *Bound[K]) Taken() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.taken
}

// Excess is whoever is to end something as more is taken than there is; nil if it is not.
func (b *Bound[K]) Excess() *Account[K] {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.taken <= b.size {
		return nil
	}
	return b.top()
}

// most is the account that has most of the name that has most; nil if nobody has anything. has is what
// that name has.
func (b *Bound[K]) most() (a *Account[K], has int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a = b.top(); a != nil {
		has = a.name.n
	}
	return a, has
}

// mostOf is the account of a name that has most; nil if it has nothing.
func (b *Bound[K]) mostOf(key K) *Account[K] {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := b.names[key]; n != nil {
		return n.top()
	}
	return nil
}

// Size is how much there is.
func (b *Bound[K]) Size() int64 { return b.size }

// Take takes n, if the account may. Where that is more than there is, payer is the account
// of which something is to end, now.
func (a *Account[K]) Take(n int64) (payer *Account[K], ok bool) {
	b := a.bound
	b.mu.Lock()
	defer b.mu.Unlock()
	left := b.size - b.taken - n
	if left < b.reserve {
		if payer = a.behind(n); payer == nil {
			b.refused.Add(1)
			return nil, false
		}
		if left >= 0 {
			payer = nil
		}
	}
	a.add(n)
	return payer, true
}

// TakeFree takes n of what there is, where nothing can end: from the reserve if the account's name has nothing, or less
// than another.
func (a *Account[K]) TakeFree(n int64) bool {
	b := a.bound
	b.mu.Lock()
	defer b.mu.Unlock()
	left, top := b.size-b.taken-n, b.ranks.top()
	own, has := a.within()
	may := left >= b.reserve || left >= 0 && (has == 0 || top != own && isLess(has, n, top.n))
	if may {
		a.add(n)
	}
	return may
}

// Claim takes n of what is not there yet: while there is so much left, or the account has less
// than another. Nobody pays. Of nothing it takes none.
func (a *Account[K]) Claim(n int64) bool {
	if a == nil {
		return false
	}
	b := a.bound
	b.mu.Lock()
	defer b.mu.Unlock()
	may := b.size-b.reserve-b.taken >= n || a.behind(n) != nil
	if may {
		a.add(n)
	}
	return may
}

// Add counts n more whether the account may take it or not, or less. It returns how much more the account
// may take then, and who is to end something if more is taken than there is.
func (a *Account[K]) Add(n int64) (left int64, payer *Account[K]) {
	if a == nil {
		return 1 << 62, nil
	}
	b := a.bound
	b.mu.Lock()
	defer b.mu.Unlock()
	a.add(n)
	left = b.size - b.reserve - b.taken
	if left < b.reserve || left < 0 {
		if lag := a.lag(); lag > 0 {
			left = max(left, lag)
		}
	}
	if n > 0 && b.taken > b.size {
		payer = b.top()
	}
	return left, payer
}

// IsBehind reports whether another has more: of all, or within the account's name.
func (a *Account[K]) IsBehind() bool {
	if a == nil {
		return false
	}
	a.bound.mu.Lock()
	defer a.bound.mu.Unlock()
	return a.lag() > 0
}

// Give gives n back.
func (a *Account[K]) Give(n int64) {
	if a == nil {
		return
	}
	a.bound.mu.Lock()
	defer a.bound.mu.Unlock()
	a.add(-n)
}

// Has is what the account has taken.
func (a *Account[K]) Has() int64 {
	if a == nil {
		return 0
	}
	a.bound.mu.Lock()
	defer a.bound.mu.Unlock()
	return a.node.n
}

// add counts. Bound.mu is held, as for all that follow.
func (a *Account[K]) add(n int64) {
	if a.closed || n == 0 {
		return
	}
	if a.name == nil {
		a.enter()
	}
	a.bound.taken += n
	if a.name.ranks != nil {
		a.name.ranks.add(&a.node, n)
	} else {
		a.node.n += n
	}
	a.bound.ranks.add(&a.name.node, n)
	if a.node.n == 0 {
		a.leave()
	}
}

// enter has the account's name know it, as it comes to have something.
func (a *Account[K]) enter() {
	n := a.bound.names[a.key]
	if n == nil {
		n = a.bound.newName()
		a.bound.names[a.key] = n
	}
	n.open(a)
	a.name = n
}

// leave undoes enter.
func (a *Account[K]) leave() {
	b, n := a.bound, a.name
	if n.close(a); n.accounts == 0 {
		delete(b.names, a.key)
		if n.ranks == nil && len(b.spare) < mostSpare {
			b.spare = append(b.spare, n)
		}
	}
	a.name = nil
}

// mostSpare is how many names are kept that have nothing: bytes are counted more often than names are worth making.
const mostSpare = 64

func (b *Bound[K]) newName() *name[K] {
	if last := len(b.spare) - 1; last >= 0 {
		n := b.spare[last]
		b.spare = b.spare[:last]
		return n
	}
	n := &name[K]{}
	n.of = n
	return n
}

// within is the account's name, or nil if that has nothing, and how much it has.
func (a *Account[K]) within() (n *name[K], has int64) {
	if n = a.name; n == nil {
		n = a.bound.names[a.key]
	}
	if n != nil {
		has = n.n
	}
	return n, has
}

// behind is somebody who has more than the account would have with n more; nil if there is
// nobody.
func (a *Account[K]) behind(n int64) *Account[K] {
	own, has := a.within()
	if top := a.bound.ranks.top(); top != nil && top != own && isLess(has, n, top.n) {
		return top.top()
	}
	if top := own.top(); top != nil && top != a && isLess(a.node.n, n, top.node.n) {
		return top
	}
	return nil
}

func isLess(has, more, than int64) bool { return has+more < than || has == 0 && more <= than }

// top is most; mu is held.
func (b *Bound[K]) top() *Account[K] {
	if n := b.ranks.top(); n != nil {
		return n.top()
	}
	return nil
}

// lag is how much less the account has than who has most: of all, or in its name.
func (a *Account[K]) lag() (n int64) {
	own, has := a.within()
	if top := a.bound.ranks.top(); top != nil && top != own {
		n = top.n - has
	}
	if top := own.top(); top != nil && top != a {
		n = max(n, top.node.n-a.node.n)
	}
	return n
}

// ranks are nodes by how much they have: those that have as many bits of it in one list, the
// one that came to that first at its head.
type ranks[T any] struct {
	first, last [64]*node[T]
	highest     int
}

// node is in the list of its rank; rank 0 has nothing, and no list.
type node[T any] struct {
	of         T
	n          int64
	rank       int
	prev, next *node[T]
}

func (r *ranks[T]) add(d *node[T], n int64) {
	d.n += n
	rank := bits.Len64(uint64(max(d.n, 0)))
	if rank == d.rank {
		return
	}
	r.unlink(d)
	if d.rank = rank; rank > 0 {
		r.link(d)
	}
}

func (r *ranks[T]) link(d *node[T]) {
	last := &r.last[d.rank]
	if d.prev = *last; d.prev == nil {
		r.first[d.rank] = d
	} else {
		d.prev.next = d
	}
	*last = d
	r.highest = max(r.highest, d.rank)
}

func (r *ranks[T]) unlink(d *node[T]) {
	if d.rank == 0 {
		return
	}
	if d.prev != nil {
		d.prev.next = d.next
	} else {
		r.first[d.rank] = d.next
	}
	if d.next != nil {
		d.next.prev = d.prev
	} else {
		r.last[d.rank] = d.prev
	}
	d.prev, d.next = nil, nil
}

// compared is how many of the highest rank are compared to find the one that has most.
const compared = 16

// top is what has most; the zero value if nobody has anything.
func (r *ranks[T]) top() (most T) {
	for r.highest > 0 && r.first[r.highest] == nil {
		r.highest--
	}
	best := r.first[r.highest]
	if best == nil {
		return most
	}
	for d, i := best.next, 1; d != nil && i < compared; d, i = d.next, i+1 {
		if d.n > best.n {
			best = d
		}
	}
	return best.of
}
