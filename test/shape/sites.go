package main

import (
	"math/rand/v2"
	"slices"
	"time"
)

// site is a kind of page that keeps a WebSocket open: who speaks first, how large what is said first is, how a
// conversation goes. The sizes are those that the protocols' own documents show in their examples, with what
// differs from site to site drawn once for each.
type site struct {
	name   string
	real   bool // its pages and servers are those of a library of that name, in web
	binary bool
	open   func(*script)
	talk   func(*script)
}

// kinds are the protocols that chats and other live pages of 2026 use.
var kinds = []site{
	{"socket.io", false, false, func(s *script) {
		s.downOf(90, 130)
		s.upOf(2, 300)
		s.downOf(30, 40)
		s.upOf(40, 160)
		s.down(300, 9000)
	}, conversation},
	{"action cable", false, false, func(s *script) {
		s.downOf(18, 20)
		for range 1 + s.once.IntN(3) {
			s.upOf(60, 180)
		}
		for range 1 + s.once.IntN(3) {
			s.downOf(80, 200)
		}
	}, func(s *script) {
		for range 3 {
			s.say(false, 2900*time.Millisecond, 37)
			message(s)
		}
	}},
	{"phoenix", false, false, func(s *script) {
		s.upOf(80, 500)
		s.down(80, 12000)
		if s.once.IntN(2) == 0 {
			s.upOf(60, 200)
			s.down(60, 3000)
		}
	}, conversation},
	{"graphql-ws", false, false, func(s *script) {
		s.upOf(25, 400)
		s.downOf(25, 30)
		for range 1 + s.once.IntN(4) {
			s.upOf(150, 1200)
		}
		s.down(100, 5000)
	}, conversation},
	{"signalr", false, false, func(s *script) {
		s.upOf(39, 40)
		s.downOf(3, 4)
		s.upOf(60, 300)
		s.down(60, 4000)
	}, conversation},
	{"gateway with hello", false, false, func(s *script) {
		s.downOf(90, 150)
		s.upOf(300, 900)
		s.down(1500, 40000)
		s.upOf(30, 120)
		s.down(40, 2500)
	}, conversation},
	{"team chat", false, false, func(s *script) {
		s.downOf(100, 260)
		if s.once.IntN(2) == 0 {
			s.upOf(60, 400)
			s.downOf(40, 120)
		}
		s.down(200, 1500)
	}, conversation},
	{"mqtt", false, true, func(s *script) {
		s.upOf(40, 220)
		s.downOf(4, 12)
		s.upOf(20, 120)
		s.downOf(5, 9)
	}, telemetry},
	{"xmpp", false, false, func(s *script) {
		s.upOf(110, 150)
		s.downOf(140, 200)
		s.downOf(250, 700)
		s.upOf(80, 260)
		s.downOf(50, 180)
		s.upOf(110, 150)
		s.downOf(140, 200)
		s.downOf(200, 500)
		s.upOf(100, 180)
		s.downOf(120, 220)
		s.upOf(70, 140)
		s.down(300, 6000)
	}, conversation},
	{"ticker", false, false, func(s *script) {
		s.upOf(50, 220)
		s.downOf(30, 200)
	}, telemetry},
	{"shared document", false, true, func(s *script) {
		s.up(20, 120)
		s.down(20, 120)
		s.down(300, 20000)
		s.up(20, 600)
	}, typing},
	{"ddp", false, false, func(s *script) {
		s.downOf(16, 20)
		s.upOf(60, 80)
		s.downOf(50, 70)
		s.upOf(120, 320)
		s.down(100, 300)
		for range 3 + s.once.IntN(4) {
			s.upOf(90, 170)
		}
		for range 2 + s.once.IntN(4) {
			s.down(60, 1200)
		}
	}, conversation},
	{"sealed chat", false, true, func(s *script) {
		s.upOf(40, 110)
		s.downOf(80, 420)
		s.upOf(150, 420)
		s.down(60, 700)
		s.up(40, 200)
		s.down(100, 6000)
	}, conversation},
}

// label is what sites of the kind are called among what is captured.
func (s site) label() string {
	if s.real {
		return s.name + " (library)"
	}
	return s.name
}

// libraries are those that web has.
var libraries = []string{"socket.io", "graphql-ws", "mqtt", "trpc", "hocuspocus", "faye", "socketcluster"}

// allKinds are kinds, and with them those of libraries if there are any.
func allKinds(withLibraries bool) []site {
	all := slices.Clone(kinds)
	if withLibraries {
		for _, name := range libraries {
			all = append(all, site{name: name, real: true})
		}
	}
	return all
}

// siteScript is a session at the site of a number, which is of a kind.
func siteScript(number int, kind site, seed uint64, session uint64) *script {
	s := &script{once: rand.New(rand.NewPCG(seed, uint64(number))), r: rand.New(rand.NewPCG(seed^session<<20, uint64(number)))}
	kind.open(s)
	settle(s)
	for len(s.steps) < mostRecords && s.duration() < 20*time.Second {
		kind.talk(s)
	}
	return s
}

// settle is what a page asks for once it is let in, and is told: rooms, names, presence, what is unread. Some ask for
// nothing, others for a dozen things.
func settle(s *script) {
	for range s.once.IntN(7) {
		for range 1 + s.once.IntN(3) {
			s.upOf(40, 400)
		}
		for range 1 + s.once.IntN(3) {
			s.down(60, 2500)
		}
	}
	for range s.r.IntN(4) { // news that nobody asked for
		s.down(60, 900)
	}
}

// conversation is a little of one: what others write, and what the user does.
func conversation(s *script) {
	if s.r.IntN(2) == 0 {
		message(s)
		return
	}
	if s.r.IntN(2) == 0 { // somebody is seen typing
		s.say(true, s.later(300*time.Millisecond, 4*time.Second), s.fixed(50, 150))
	}
	s.say(true, s.later(300*time.Millisecond, 4*time.Second), logarithmic(s.r, 70, 900))
	s.down(40, 500)
	if s.r.IntN(2) == 0 { // it was read
		s.say(false, s.later(30*time.Millisecond, 2*time.Second), s.fixed(50, 250))
	}
}

// message is what somebody else writes, and that it was read here.
func message(s *script) {
	s.say(false, s.later(200*time.Millisecond, 4*time.Second), logarithmic(s.r, 100, 1500))
	if s.r.IntN(3) > 0 {
		s.say(true, s.later(time.Millisecond, 500*time.Millisecond), s.fixed(40, 200))
	}
}

// telemetry is small news, and now and then a word that the client is there.
func telemetry(s *script) {
	for range 1 + s.r.IntN(6) {
		s.say(false, s.later(20*time.Millisecond, 1500*time.Millisecond), logarithmic(s.r, 40, 600))
	}
	if s.r.IntN(3) == 0 {
		s.say(true, s.later(10*time.Millisecond, time.Second), logarithmic(s.r, 10, 120))
	}
}

// typing is keys that are pressed here and there.
func typing(s *script) {
	up := s.r.IntN(2) == 0
	for range 1 + s.r.IntN(5) {
		s.say(up, s.later(80*time.Millisecond, 900*time.Millisecond), logarithmic(s.r, 25, 160))
	}
}
