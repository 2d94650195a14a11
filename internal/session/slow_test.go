package session

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// slowLink is a carrier whose messages take their time.
type slowLink struct {
	*link
	up, down way
	answers  []string // of the origin, that wait for the next record
	tries    int
}

// way is one direction of a slowLink.
type way struct {
	takes time.Duration
	due   []late
	stuck bool // what is sent now is held back
}

type late struct {
	message []byte
	at      time.Time
}

func (w *world) dialSlow(s *Client, d Door, up, down time.Duration) *slowLink {
	return &slowLink{link: w.dial(s, 1, d, w.process), up: way{takes: up}, down: way{takes: down}}
}

// send puts a message on its way. At the gateway door some overtake others.
func (y *way) send(m []byte, err error, d Door, now time.Time) error {
	if err == errWait {
		err = nil
	}
	if m == nil || err != nil {
		return err
	}
	takes := y.takes
	if d == Gateway && len(m)%2 == 0 {
		takes -= takes / 10
	}
	y.due = append(y.due, late{m, now.Add(takes)})
	return nil
}

// come delivers what is due.
func (y *way) come(to *wireEnd, now time.Time) error {
	for i := 0; i < len(y.due) && !y.stuck; i++ {
		if y.due[i].at.After(now) {
			continue
		}
		m := y.due[i].message
		y.due = append(y.due[:i:i], y.due[i+1:]...)
		if err := to.hear(m, now); err != nil {
			return err
		}
		i--
	}
	return nil
}

// step is a second of both ends: they hear what has come, and every few of them say something.
func (l *slowLink) step(second int) error {
	now, d := l.w.now, l.near.door
	nears, fars := len(l.near.seen), len(l.far.seen)
	if err := l.up.come(l.far, now); err != nil {
		return fmt.Errorf("the origin: %w", err)
	}
	if err := l.down.come(l.near, now); err != nil {
		return fmt.Errorf("the client: %w", err)
	}
	for _, text := range l.far.seen[fars:] {
		if body, ok := strings.CutPrefix(text, "again "); ok {
			answer, err := l.o.Again([]byte(body), now)
			if err != nil {
				return fmt.Errorf("again: %w", err)
			}
			l.answers = append(l.answers, "answer "+string(answer))
		}
	}
	for _, text := range l.near.seen[nears:] {
		if body, ok := strings.CutPrefix(text, "answer "); ok {
			l.c.Answer([]byte(body), now)
		}
	}
	if err := l.sayUp(second, d, now); err != nil {
		return fmt.Errorf("the client says: %w", err)
	}
	return l.sayDown(second, d, now)
}

func (l *slowLink) sayUp(second int, d Door, now time.Time) error {
	text := ""
	if second%5 == 0 {
		text = fmt.Sprintf("up %*d", second%2, second)
		if body, ok := l.c.Again(now); ok {
			text = "again " + string(body)
			l.tries++
		}
	} else if l.near.events&Speak == 0 {
		return nil
	}
	l.near.events &^= Speak
	m, err := l.near.say(text, now)
	if len(m) == 0 {
		m = nil
	}
	return l.up.send(m, err, d, now)
}

func (l *slowLink) sayDown(second int, d Door, now time.Time) error {
	text := ""
	if second%5 == 2 {
		text = fmt.Sprintf("down %*d", second%2, second)
		if len(l.answers) > 0 {
			text, l.answers = l.answers[0], l.answers[1:]
		}
	} else if l.far.events&Speak == 0 && second%5 != 0 {
		return nil
	}
	l.far.events &^= Speak
	m, err := l.far.say(text, now)
	if len(m) == 0 {
		m = nil
	}
	return l.down.send(m, err, d, now)
}

// second lets one pass, for all.
func (w *world) second(t *testing.T, s *Client, n int, links []*slowLink) {
	t.Helper()
	w.now = w.now.Add(time.Second)
	if n%10 == 0 {
		w.process.Sweep(w.now)
	}
	if n%60 == 0 {
		s.Expire(w.now)
	}
	for i, l := range links {
		if err := l.step(n); err != nil {
			t.Fatalf("carrier %d after %v: %v; the client is %v, the origin %v", i, time.Duration(n)*time.Second, err, l.near.State(), l.far.State())
		}
	}
}

// Half an hour of slow links, with bytes both ways, and a new carrier whenever the
// generation is about to be renewed: none ends, all turn, and few tries are needed.
func TestACarrierThatIsSlowLives(t *testing.T) {
	type takes struct{ up, down time.Duration }
	for name, ways := range map[string][]takes{
		"all take 40 s":        {{40 * time.Second, 40 * time.Second}},
		"one is fast":          {{40 * time.Second, 40 * time.Second}, {time.Second, time.Second}},
		"much is on its way":   {{5 * time.Second, 4 * time.Minute}},
		"each way 100 s":       {{100 * time.Second, 100 * time.Second}, {time.Second, 20 * time.Second}},
		"up 4 min, and a fast": {{4 * time.Minute, 5 * time.Second}, {time.Second, time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			forBothDoors(t, func(t *testing.T, w *world, d Door) {
				s := w.client(1)
				first := w.dialSlow(s, d, 0, 0)
				first.talk(t) // while the link was fast
				first.o.Session().Hold()
				first.up.takes, first.down.takes = ways[0].up, ways[0].down
				links := []*slowLink{first}
				for n := 1; n <= 30*60; n++ {
					if n%290 == 0 && n < 25*60 {
						k := ways[len(links)%len(ways)]
						links = append(links, w.dialSlow(s, d, k.up, k.down))
					}
					w.second(t, s, n, links)
				}
				tries, most := 0, 0
				for i, l := range links {
					tries += l.tries
					both := l.up.takes + l.down.takes
					most = max(most, 6*(1+int(both/tryAgain))) // in six generations
					for _, e := range []*end{&l.c.end, &l.o.end} {
						if l.near.State() != Live {
							t.Errorf("carrier %d is %v", i, l.near.State())
						} else if age := w.now.Sub(e.out.of.born); age > GenerationLife+3*both+time.Minute {
							t.Errorf("carrier %d seals under a generation of %v, at the origin: %v", i, age, e.atOrigin)
						}
					}
				}
				if tries > most {
					t.Errorf("got %d tries in half an hour, want %d at most", tries, most)
				}
			})
		})
	}
}

// Whoever holds an answer back, and lets it go when others have agreed anew, once or more
// often, harms no other carrier; nor does whoever holds a turn back for minutes.
func TestAnAnswerThatIsHeldBackHarmsItsCarrierAlone(t *testing.T) {
	for _, held := range []int{100, 400, 1000} {
		forBothDoors(t, func(t *testing.T, w *world, d Door) {
			s := w.client(1)
			links := []*slowLink{w.dialSlow(s, d, time.Second, time.Second), w.dialSlow(s, d, time.Second, time.Second)}
			for _, l := range links {
				l.talk(t)
			}
			links[0].o.Session().Hold()
			var renewed *generation
			for n := 1; n <= 30*60; n++ {
				links[0].down.stuck = n > 300 && n < 300+held
				if n == 300+min(held, 2*60) {
					renewed = s.current()
				}
				w.second(t, s, n, links)
			}
			if held > 2*60 && links[0].tries == 0 || renewed.born.Sub(start) < GenerationLife && held > 100 {
				t.Error("the other carrier has not agreed anew meanwhile")
			}
			if last := links[1]; !last.c.settled() || last.c.out.of != s.current() || links[0].near.State() != Live {
				t.Error("they do not go on under the newest generation")
			}
		})
	}
}
