package session

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"culvert/internal/wire"
)

// edge is whoever carries messages between one client and two origins: it keeps all, and
// delivers them twice, late, in another order, by carriers of its own, and to another
// origin or after a restart. What it does is a walk: numbers of steps.
type edge struct {
	w       *world
	door    Door
	s       *Client
	origins [2]*Origin
	taken   map[string]bool // token and process
	links   []*edgeLink
	sealed  map[string]bool // key and number
	opened  map[string]int  // text, at origins
	down    map[string]int  // text, at the client
	said    int
	begun   map[string]int // tunnels that a proved session has begun
	restart int
	agains  int
	forget  bool // the origin has forgotten all tokens: whoever shares the link had it take thousands
	faults  []string
}

type edgeLink struct {
	*link
	at   int
	ups  [][]byte
	next int // of ups, that has not been delivered
}

func newEdge(t testing.TB, d Door, forget bool) *edge {
	e := &edge{w: newWorld(t), door: d, forget: forget, taken: map[string]bool{}, sealed: map[string]bool{}, opened: map[string]int{}, down: map[string]int{}, begun: map[string]int{}}
	e.s = e.w.client(1)
	e.origins = [2]*Origin{e.w.newOrigin(1), e.w.newOrigin(2)}
	watch = func(k [32]byte, number uint64) {
		if id := fmt.Sprintf("%x %d", k, number); e.sealed[id] {
			e.fault("a number comes twice under a key: %d", number)
		} else {
			e.sealed[id] = true
		}
	}
	return e
}

func (e *edge) fault(format string, args ...any) {
	e.faults = append(e.faults, fmt.Sprintf(format, args...))
}

func (e *edge) last() *edgeLink  { return e.links[len(e.links)-1] }
func (e *edge) first() *edgeLink { return e.links[0] }

// take is what the origin's memory of tokens says, which is lost with its process.
func (e *edge) take(o *Origin, token wire.Token) bool {
	id := fmt.Sprintf("%x %x", o.process, token)
	was := e.taken[id]
	e.taken[id] = true
	return !was || e.forget
}

var steps = []func(e *edge){
	func(e *edge) { e.dial(0) },
	func(e *edge) { e.say(e.last()) },
	func(e *edge) { e.say(e.first()) },
	func(e *edge) { e.deliver(e.last(), e.last().next) },
	func(e *edge) { e.deliver(e.last(), len(e.last().ups)-1) },
	func(e *edge) { e.swap() },
	func(e *edge) { e.answer(e.last()) },
	func(e *edge) { e.answer(e.first()) },
	func(e *edge) { e.copyTo(1) },
	func(e *edge) { e.copyTo(0) },
	func(e *edge) { e.again() },
	func(e *edge) { e.restartOrigin() },
}

func (e *edge) dial(at int) {
	l := e.w.dial(e.s, 1, e.door, e.origins[at])
	e.take(e.origins[at], l.c.place.token)
	e.links = append(e.links, &edgeLink{link: l, at: at})
	if e.door == Stream {
		e.tell(l.far, l.near)
	}
}

// say is an Open while records are early, and anything later.
func (e *edge) say(l *edgeLink) {
	e.said++
	m, err := l.near.say(fmt.Sprintf("open %d", e.said), e.w.now)
	if err == nil && m != nil {
		l.ups = append(l.ups, m)
	}
}

func (e *edge) deliver(l *edgeLink, i int) {
	if i < 0 || i >= len(l.ups) {
		return
	}
	l.next = max(l.next, i+1)
	e.hear(l.far, l.ups[i], false, false)
}

// hear notes what an origin's end has opened.
func (e *edge) hear(far *wireEnd, m []byte, foreign, swapped bool) {
	n := len(far.seen)
	far.hear(m, e.w.now)
	c := far.ends.(*OriginCarrier)
	for _, text := range far.seen[n:] {
		if c.Early() && c.State() != Live {
			if foreign && (swapped || e.door == Stream) {
				e.fault("%q, which is early, opened on a carrier that it was not for", text)
			}
			continue // it begins a dial, and no more
		}
		if e.opened[text]++; e.opened[text] > 1 && strings.HasPrefix(text, "open") {
			e.fault("%q opened twice", text)
		}
		if foreign && (swapped || !e.forget) { // else it is forwarded, which is an edge's trade
			e.fault("%q opened on a carrier that it was not for", text)
		}
	}
}

func (e *edge) tell(from, to *wireEnd) {
	m, err := from.say("", e.w.now)
	if err == nil && m != nil {
		to.hear(m, e.w.now)
	}
}

// answer is the origin's, delivered at once, and at the gateway door twice.
func (e *edge) answer(l *edgeLink) {
	e.said++
	m, err := l.far.say(fmt.Sprintf("down %d", e.said), e.w.now)
	if err == errWait && m != nil {
		err = nil
	}
	if err != nil || m == nil {
		return
	}
	n := len(l.near.seen)
	l.near.hear(m, e.w.now)
	if e.door == Gateway {
		l.near.hear(m, e.w.now)
	}
	for _, text := range l.near.seen[n:] {
		if e.down[text]++; e.down[text] > 1 {
			e.fault("%q came down twice", text)
		}
	}
	if l.c.unknown && e.restart == 0 && e.agains < 2 {
		e.fault("a generation of the last two is unknown")
	}
	if l.near.door == Stream {
		e.tell(l.near, l.far) // what the client must say at once
	}
}

// swap gives the last carrier's messages to the first, and the other way round.
func (e *edge) swap() {
	a, b := e.first(), e.last()
	if a == b {
		return
	}
	for _, m := range a.ups {
		e.hear(b.far, m, true, true)
	}
	for _, m := range b.ups {
		e.hear(a.far, m, true, true)
	}
}

// copyTo brings all that the last carrier has sent to an origin by a carrier of the edge's own.
func (e *edge) copyTo(at int) {
	l := e.last()
	o := e.origins[at]
	if !e.take(o, l.c.place.token) {
		return
	}
	far := l.copyTo(o, e.door)
	if e.door == Stream {
		far.say("", e.w.now)
	}
	if len(l.ups) > 0 && e.forget { // a Join alone, on one more
		from := map[Door]int{Stream: 0, Gateway: 4}[e.door]
		only := l.copyTo(o, e.door)
		if p, body, _, err := Next(l.ups[0][from:]); err == nil {
			only.Receive(p, body, e.w.now)
			only.say("y", e.w.now)
			only.say("z", e.w.now)
		}
	}
	for _, m := range l.ups {
		e.hear(far, m, true, false)
	}
	far.say("x", e.w.now)
}

func (e *edge) again() {
	e.w.now = e.w.now.Add(GenerationLife)
	e.agains++
	l := e.first()
	if body, ok := l.c.Again(e.w.now); ok && l.far.State() == Live {
		if answer, err := l.o.Again(body, e.w.now); err == nil {
			l.c.Answer(bytes.Clone(answer), e.w.now)
		}
	}
}

func (e *edge) restartOrigin() {
	e.restart++
	e.origins[0] = e.w.newOrigin(1)
}

// run takes a walk after a beginning, and then wants a new carrier to work: nothing
// that an edge does outlasts the carriers that it did it to.
func (e *edge) run(t testing.TB, begin, walk []int) {
	defer func() { watch = func([32]byte, uint64) {} }()
	e.dial(0)
	for _, i := range append(append([]int{}, begin...), walk...) {
		steps[i](e)
	}
	l := e.w.dial(e.s, 1, e.door, e.origins[0])
	if err := l.settle(); err != nil {
		e.fault("a new carrier: %v", err)
	} else if l.up("end"); l.far.State() != Live {
		e.fault("a new carrier is %v", l.far.State())
	}
	if len(e.faults) > 0 {
		t.Fatalf("after %v, %v: %s", begin, walk, strings.Join(e.faults, "; "))
	}
}

var beginnings = map[string][]int{
	"new":    {1},
	"agreed": {1, 3, 6, 1, 3},
	"joined": {1, 3, 6, 1, 3, 0, 1},
	"older":  {1, 3, 6, 1, 3, 10, 1, 3, 0, 1},
}

var deep = flag.Bool("deep", false, "let TestEdge take every walk of three steps, which takes minutes")

// TestEdge takes every walk of two steps from each beginning, and long ones at random.
func TestEdge(t *testing.T) {
	forBothDoors(t, func(t *testing.T, w *world, d Door) {
		n := len(steps)
		forget := false
		for _, begin := range beginnings {
			for i := range n * n {
				newEdge(t, d, forget).run(t, begin, []int{i / n, i % n})
				forget = !forget
			}
			for i := 0; *deep && i < n*n*n; i++ {
				newEdge(t, d, forget).run(t, begin, []int{i / n / n, i / n % n, i % n})
			}
		}
		random := rand.New(rand.NewPCG(1, 2))
		for range 40 {
			walk := make([]int, 30)
			for i := range walk {
				walk[i] = random.IntN(n)
			}
			newEdge(t, d, forget).run(t, []int{1}, walk)
			forget = !forget
		}
	})
}
