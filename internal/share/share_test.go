package share

import (
	"net/netip"
	"runtime"
	"slices"
	"testing"
)

// takes takes one at a time until the account may not, or most are taken, and ends what is to end.
func takes(t *testing.T, a *Account[int], most int) (n int) {
	t.Helper()
	for ; n < most; n++ {
		payer, ok := a.Take(1)
		if !ok {
			return n
		}
		if payer != nil {
			payer.Give(1)
		}
	}
	return n
}

func want(t *testing.T, what string, got, want int64) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %d, want %d", what, got, want)
	}
}

func TestWhoeverIsAloneTakesAllButTheReserve(t *testing.T) {
	t.Parallel()
	b := NewBound[int](800)
	want(t, "alone", int64(takes(t, b.Open(1, nil), 1000)), 700)
	want(t, "refused", int64(b.Refused()), 1)
}

func TestALateOneGetsAsMuchAsWhoeverHasMost(t *testing.T) {
	t.Parallel()
	b := NewBound[int](800)
	first, second, third := b.Open(1, nil), b.Open(2, nil), b.Open(3, nil)
	takes(t, first, 1000)
	want(t, "the reserve, and half", int64(takes(t, second, 1000)), 400)
	want(t, "the first after that", first.Has(), 400)
	takes(t, third, 1000)
	for i, a := range []*Account[int]{first, second, third} {
		if has := a.Has(); has < 260 || has > 270 {
			t.Errorf("%d: got %d, want a third of 800", i+1, has)
		}
	}
	want(t, "in all", b.Taken(), 800)
}

func TestSessionsShareWhatTheirUserHas(t *testing.T) {
	t.Parallel()
	b := NewBound[int](800)
	first, second := b.Open(1, "first"), b.Open(1, "second")
	other := b.Open(2, nil)
	takes(t, first, 1000)
	takes(t, other, 1000)
	takes(t, second, 1000)
	if first.Has()+second.Has() > 402 || first.Has()-second.Has() > 3 {
		t.Errorf("got %d and %d of two sessions, want halves of 400", first.Has(), second.Has())
	}
	if other.Has() < 398 {
		t.Errorf("got %d of another user, want half", other.Has())
	}
}

func TestManyNamesCostNobodyWhatHeNeeds(t *testing.T) {
	t.Parallel()
	b := NewBound[int](800)
	for i := range 1000 {
		takes(t, b.Open(i, nil), 1)
	}
	want(t, "all", b.Taken(), 800)
	want(t, "one who comes late", int64(takes(t, b.Open(1000, nil), 5)), 1)
}

func TestWhoCountsMoreThanThereIsHasWhoeverHasMostPay(t *testing.T) {
	t.Parallel()
	b := NewBound[int](80)
	many, few := b.Open(1, "many"), b.Open(2, "few")
	left, payer := many.Add(70)
	want(t, "left to whoever has most", left, 0)
	if payer != nil {
		t.Error("got a payer, want none while there is room")
	}
	left, _ = few.Add(5)
	want(t, "left to another", left, 65)
	if _, payer = few.Add(10); payer != many {
		t.Errorf("got %v to pay, want whoever has most", payer)
	}
	many.Give(70)
	few.Give(15)
	want(t, "in the end", b.Taken(), 0)
}

func TestANameIsForgottenWithItsLastAccount(t *testing.T) {
	t.Parallel()
	b := NewBound[int](80)
	a, other := b.Open(1, nil), b.Open(1, nil)
	takes(t, a, 3)
	a.Close()
	other.Close()
	want(t, "taken", b.Taken(), 0)
	want(t, "names", int64(len(b.names)), 0)
}

func TestCountingAllocatesNothing(t *testing.T) {
	b := NewBound[int](80)
	a := b.Open(1, nil)
	if n := testing.AllocsPerRun(100, func() { a.Add(30); a.Give(30) }); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

// lost counts the places that end.
type lost map[int]bool

func enter(p *Strangers, from string, end func()) *Place[netip.Prefix, netip.Prefix] {
	network, within := Prefix(netip.MustParseAddr(from))
	return p.Enter(network, within, end)
}

func TestStrangersOfOneAddressDisplaceTheirOwnOldest(t *testing.T) {
	t.Parallel()
	p, gone := NewStrangers(80), lost{}
	for i := range 100 {
		enter(p, "192.0.2.1", func() { gone[i] = true })
	}
	want(t, "places", int64(p.Len()), 70)
	if !gone[29] || gone[30] || len(gone) != 30 {
		t.Errorf("got %d gone, want the 30 oldest", len(gone))
	}
}

func TestAStrangerOfAnotherPrefixKeepsItsPlace(t *testing.T) {
	t.Parallel()
	p, gone := NewStrangers(80), false
	enter(p, "198.51.100.9", func() { gone = true })
	for i := range 1000 {
		enter(p, netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}).String(), func() {})
	}
	if gone {
		t.Error("got displaced by strangers of one prefix")
	}
	for i := range 1000 {
		enter(p, netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}).String(), func() {})
	}
	want(t, "places", int64(p.Len()), 80)
	if !gone {
		t.Error("got kept, want the oldest displaced where each has one")
	}
}

func TestWhoHasShownSomethingIsDisplacedLater(t *testing.T) {
	t.Parallel()
	p, gone := NewStrangers(80), lost{}
	var all []*Place[netip.Prefix, netip.Prefix]
	for i := range 70 {
		all = append(all, enter(p, "192.0.2.1", func() { gone[i] = true }))
	}
	all[0].Stir()
	enter(p, "192.0.2.1", func() {})
	if gone[0] || !gone[1] {
		t.Errorf("got %v gone, want the second", gone)
	}
	for _, l := range all {
		l.Leave()
		l.Leave()
		l.Stir()
	}
	want(t, "places", int64(p.Len()), 1)
}

func TestAPrefixIsOfANetwork(t *testing.T) {
	t.Parallel()
	for from, prefixes := range map[string][2]string{
		"192.0.2.77":           {"192.0.2.0/24", "192.0.2.77/32"},
		"::ffff:192.0.2.77":    {"192.0.2.0/24", "192.0.2.77/32"},
		"2001:db8:1:2:3:4:5:6": {"2001:db8:1::/48", "2001:db8:1:2::/64"},
		"fe80::1%eth0":         {"fe80::/48", "fe80::/64"},
	} {
		network, within := Prefix(netip.MustParseAddr(from))
		if network.String() != prefixes[0] || within.String() != prefixes[1] {
			t.Errorf("%s: got %v and %v, want %v", from, network, within, prefixes)
		}
	}
}

// A machine with thousands of addresses, of which none has shown anything, costs a phone no chat that
// has; what has shown something pays when nothing else is left.
func TestWhoHasShownSomethingStaysWhileOthersHaveNot(t *testing.T) {
	t.Parallel()
	p, gone := NewGuests(80), 0
	phone, laptop := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.1.0.0")
	for range 3 {
		p.Enter(phone, struct{}{}, func() { gone++ }).Show()
	}
	for range 1000 {
		laptop = laptop.Next()
		p.Enter(laptop, struct{}{}, func() {})
	}
	want(t, "a phone's that are gone", int64(gone), 0)
	p.Enter(phone, struct{}{}, func() {}).Show()
	want(t, "a phone's that are gone for its own next", int64(gone), 0)
	want(t, "places", int64(p.Len()), 80)
	want(t, "displaced", int64(p.Displaced()), 1003+1-80)
}

// A pool with room for one has the newest, of one name or many.
func TestOfOnePlaceTheNewestHasIt(t *testing.T) {
	t.Parallel()
	p, gone := NewGuests(1), 0
	from := netip.MustParseAddr("10.0.0.1")
	var last *Guest
	for i := range 10 {
		if i > 5 {
			from = from.Next()
		}
		last = p.Enter(from, struct{}{}, func() { gone++ })
	}
	want(t, "gone", int64(gone), 9)
	last.Leave()
	want(t, "places", int64(p.Len()), 0)
	want(t, "names", int64(len(p.bound.names)+len(p.strange.names)+len(p.of)), 0)
}

// Whoever fills a pool with what has shown something keeps nobody out.
func TestWhoHasShownMostPaysWhereFewHaveNot(t *testing.T) {
	t.Parallel()
	p, others := NewGuests(80), 0
	greedy, other := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.1.0.0")
	for range 100 {
		p.Enter(greedy, struct{}{}, func() {}).Show()
	}
	for range 9 {
		other = other.Next()
		p.Enter(other, struct{}{}, func() { others++ })
	}
	for range 100 {
		p.Enter(greedy, struct{}{}, func() {}).Show()
	}
	want(t, "others' that are gone", int64(others), 0)
}

// A machine with thousands of addresses, each of which has shown something once, neither ends a phone's that goes
// on, nor keeps another from showing something.
func TestWhoShowsSomethingOnceCostsNobodyWhoGoesOn(t *testing.T) {
	t.Parallel()
	p, gone := NewGuests(80), 0
	end := func() { gone++ }
	var phone []*Guest
	for range 3 {
		phone = append(phone, p.Enter(netip.MustParseAddr("10.0.0.1"), struct{}{}, end))
		phone[len(phone)-1].Show()
	}
	laptop := netip.MustParseAddr("10.1.0.0")
	flood := func(n int) {
		for range n {
			laptop = laptop.Next()
			p.Enter(laptop, struct{}{}, func() {}).Show()
			for _, l := range phone {
				l.Stir()
			}
		}
	}
	flood(1000)
	phone = append(phone, p.Enter(netip.MustParseAddr("10.0.0.2"), struct{}{}, end))
	flood(1000) // while another phone's has yet to show something
	want(t, "gone", int64(gone), 0)
}

func TestOnlyWhatEndsIsCounted(t *testing.T) {
	t.Parallel()
	b := NewBound[int](8)
	alone := b.Open(1, nil)
	for range 5 { // as chunks do while one tunnel is reset
		_, payer := alone.Add(9)
		if payer != alone {
			t.Fatalf("got %v to pay, want whoever is alone", payer)
		}
	}
	want(t, "before anything has ended", int64(b.Refused()+b.Ended()+b.EndedWithin()), 0)
	alone.Pay(alone)
	alone.Pay(b.Open(1, nil))
	alone.Pay(b.Open(2, nil))
	want(t, "of its own excess", int64(b.Refused()), 1)
	want(t, "for another of its name", int64(b.EndedWithin()), 1)
	want(t, "for another", int64(b.Ended()), 1)
}

// However many accounts a name has, the one with most is found.
func TestTheOneWithMostIsFoundAmongManyOfAName(t *testing.T) {
	t.Parallel()
	b := NewBound[int](1 << 20)
	var all []*Account[int]
	for i := range 4 * compared {
		all = append(all, b.Open(1, i))
		all[i].Add(int64(1) << (i % 12))
	}
	most, has := b.most()
	want(t, "most", most.Has(), 1<<11)
	if has != b.Taken() {
		t.Errorf("got %d of the name, want %d", has, b.Taken())
	}
	for _, a := range all {
		a.Close()
	}
	want(t, "taken", b.Taken(), 0)
}

// What a user costs who has nothing now, though there was something.
func TestAnAccountWithNothingIsSmall(t *testing.T) {
	const names = 10_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	b, all := NewBound[int](1<<20), make([]*Account[int], names)
	for i := range all {
		all[i] = b.Open(i, nil)
		all[i].Add(1000)
		all[i].Give(1000)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := int64(after.HeapAlloc-before.HeapAlloc) / names
	t.Logf("an account: %d bytes", each)
	if each > 120 {
		t.Errorf("got %d bytes an account, want 120 at most", each)
	}
	runtime.KeepAlive(all)
}

// What is shed for something else that is scarce is what would be lost for another, until there is nothing left.
func TestShedEndsTheOldestFirst(t *testing.T) {
	t.Parallel()
	p, from := NewGuests(80), netip.MustParseAddr("10.0.0.1")
	var gone []int
	for i := range 3 {
		p.Enter(from, struct{}{}, func() { gone = append(gone, i) })
	}
	for p.Shed() {
	}
	if !slices.Equal(gone, []int{0, 1, 2}) || p.Len() != 0 || p.Displaced() != 3 {
		t.Errorf("got %v gone, %d left, %d displaced; want all three, the oldest first", gone, p.Len(), p.Displaced())
	}
}
