package share

import (
	"net/netip"
	"slices"
	"testing"
)

// shop is a bound whose customers do what bytes say, and what each has by a count of its own.
type shop struct {
	*testing.T
	*Bound[byte]
	all []*Account[byte] // four names, three accounts each; nil: closed
	has []int64
}

const (
	shopNames = 4
	shopSize  = 100
)

func newShop(t *testing.T, free bool) *shop {
	s := &shop{T: t, Bound: NewBound[byte](shopSize), all: make([]*Account[byte], 3*shopNames), has: make([]int64, 3*shopNames)}
	if free {
		s.WithoutReserve()
	}
	return s
}

// account is the one of a number, which is opened if it was closed.
func (s *shop) account(i int) *Account[byte] {
	if s.all[i] == nil {
		s.all[i] = s.Open(byte(i%shopNames), i)
	}
	return s.all[i]
}

// ofName is what the name of an account has, and most what another has that has most.
func (s *shop) ofName(i int) (own, most int64) {
	var sums [shopNames]int64
	for j, n := range s.has {
		sums[j%shopNames] += n
	}
	own = sums[i%shopNames]
	sums[i%shopNames] = 0
	return own, slices.Max(sums[:])
}

// take is refused to nobody whose name stays under its part of what is not the reserve, and whoever
// pays for it has no less.
func (s *shop) take(i int, n int64) {
	own, most := s.ofName(i)
	payer, ok := s.account(i).Take(n)
	if fair := (shopSize - s.reserve) / shopNames; !ok && own+n <= fair {
		s.Fatalf("an account of a name with %d got nothing of %d, want as much as makes %d", own, n, fair)
	}
	if !ok {
		return
	}
	s.has[i] += n
	for ; payer != nil; payer = s.Excess() {
		s.pay(payer, i, own, most)
	}
}

// pay has something of the payer's end, of what it had before.
func (s *shop) pay(payer *Account[byte], taker int, own, most int64) {
	p := payer.Of.(int)
	if s.has[p] == 0 {
		s.Fatal("got a payer that has nothing")
	}
	if p%shopNames != taker%shopNames && most < own {
		s.Fatalf("got another name to pay that has %d at most, for one that had %d", most, own)
	}
	s.has[p]--
	payer.Give(1)
}

func (s *shop) give(i int, n int64) {
	n = min(n, s.has[i])
	s.has[i] -= n
	s.account(i).Give(n)
}

func (s *shop) close(i int) {
	s.account(i).Close()
	s.all[i], s.has[i] = nil, 0
}

// agrees wants the bound to count as the shop does, and no more than there is.
func (s *shop) agrees() {
	var sum int64
	for i, n := range s.has {
		sum += n
		if got := s.account(i).Has(); got != n {
			s.Fatalf("got %d of an account, want %d", got, n)
		}
	}
	if got := s.Taken(); got != sum || got > shopSize {
		s.Fatalf("got %d taken, want %d, and no more than %d", got, sum, shopSize)
	}
}

// Whatever who asks for, no more is taken than there is, nobody is refused a fair share, and nothing is
// left when all has been given back.
func FuzzBound(f *testing.F) {
	f.Add([]byte("\x00\x00\x63\x01\x30\x02\x30\x33\x10\x40\x00"))
	f.Add([]byte("\x01\x10\x63\x10\x63\x21\x20\x32\x05\x43\x09\x54\x30"))
	f.Fuzz(func(t *testing.T, in []byte) {
		s := newShop(t, len(in) > 0 && in[0] == 1)
		for ; len(in) > 2; in = in[2:] {
			i, n := int(in[1])%len(s.all), int64(in[2])%(shopSize/2)
			switch in[1] >> 4 % 8 {
			default:
				s.take(i, n)
			case 4:
				if s.account(i).TakeFree(n) {
					s.has[i] += n
				}
			case 5:
				s.give(i, n)
			case 6:
				s.close(i)
			}
			s.agrees()
		}
		for i := range s.all {
			s.close(i)
		}
		if s.Taken() != 0 || len(s.names) != 0 || s.ranks.top() != nil {
			t.Errorf("got %d taken by %d names in the end", s.Taken(), len(s.names))
		}
	})
}

// Whoever comes has a place, no more have one than there is room for, each place is lost or given back once, and nothing
// is left when all have left.
func FuzzPool(f *testing.F) {
	f.Add([]byte("\x05\x00\x01\x10\x02\x12\x21\x33\x44\x05\x06\x16\x27"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) == 0 {
			return
		}
		size := 1 + int(in[0])%20
		p := NewStrangers(size)
		var places []*Place[netip.Prefix, netip.Prefix]
		var ended []bool
		have := 0
		for _, b := range in[1:] {
			if b < 128 {
				network, within := Prefix(netip.AddrFrom4([4]byte{10, b % 4, 0, b >> 2 % 4}))
				i := len(places)
				ended = append(ended, false)
				places = append(places, p.Enter(network, within, func() {
					if ended[i] {
						t.Fatal("a place that was given back, or lost, is lost once more")
					}
					ended[i] = true
					have--
				}))
				if have++; ended[i] {
					t.Fatal("whoever comes has no place")
				}
			} else if len(places) > 0 {
				i := int(b) % len(places)
				switch b >> 5 % 4 {
				case 0:
					places[i].Stir()
				case 1:
					places[i].Show()
				default:
					if places[i].Leave(); !ended[i] {
						ended[i] = true
						have--
					}
				}
			}
			if p.Len() != have || have > size {
				t.Fatalf("got %d places, want the %d that there are, and no more than %d", p.Len(), have, size)
			}
		}
		for _, l := range places {
			l.Leave()
		}
		if p.Len() != 0 || len(p.of)+len(p.bound.names)+len(p.strange.names) != 0 || p.shown.Len() != 0 {
			t.Errorf("got %d places left in the end", p.Len())
		}
	})
}
