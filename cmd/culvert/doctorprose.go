package main

import (
	"fmt"
	"strconv"
	"strings"

	"culvert/internal/link"
	"culvert/internal/term"
)

// teller tells a person, as the checks go on.
type teller interface {
	front(number int, f link.Front)
	direct()
	check(c check)
	verdict(r *report)
}

// silent waits for the JSON at the end.
type silent struct{}

func (silent) front(int, link.Front) {}
func (silent) direct()               {}
func (silent) check(check)           {}
func (silent) verdict(*report)       {}

// prose writes lines.
type prose struct {
	out     *term.Console
	names   bool
	strange bool   // others than WhatsApp's keys are trusted
	tried   string // what was said last to try
}

func (p *prose) front(number int, f link.Front) {
	name := ""
	if p.names {
		name = ": " + f.URL()
	}
	p.out.Title(fmt.Sprintf("Front %d%s", number, name))
	p.out.Show("… on the way")
}

func (p *prose) direct() {
	p.out.Title("From this machine, without a relay")
	p.out.Show("… on the way")
}

// hopText is what people read for a hop.
var hopText = map[string]string{
	"link": "Link", "network": "Network", "tls": "TLS", "gate": "Gate", "origin": "Origin",
	"chat": "Chat", "media_down": "Media down", "media_up": "Media up",
}

func (p *prose) check(c check) {
	p.out.Show("")
	switch c.Status {
	case passed:
		p.out.Step(term.Good, c.took(), "%s: %s", hopText[c.Hop], c.Detail)
	case failed:
		p.failed(c)
	default:
		p.out.Step(term.Skipped, 0, "%s: not tried", hopText[c.Hop])
	}
}

// failed breaks a long problem into lines.
func (p *prose) failed(c check) {
	lines := term.Wrap(hopText[c.Hop]+": "+c.Problem, term.TextWidth-14)
	p.out.Step(term.Bad, c.took(), "%s", lines[0])
	for _, l := range lines[1:] {
		p.out.Hint("%s", l)
	}
	if c.Try != "" && c.Try != p.tried {
		p.out.Hint("→ %s", capital(c.Try))
	}
	p.tried = c.Try
}

// capital makes a sentence of s.
func capital(s string) string {
	if s == "" {
		return s
	}
	s = strings.ToUpper(s[:1]) + s[1:]
	if !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}

func (p *prose) verdict(r *report) {
	p.out.Title("Verdict")
	if p.strange {
		p.out.Step(term.Warned, 0, "Keys of a stand-in were trusted: this says nothing about WhatsApp")
	}
	for _, hop := range []string{"chat", "media_down", "media_up"} {
		fronts := r.by(hop)
		switch {
		case len(fronts) == 0:
			p.out.Step(term.Bad, 0, "%s does not work", hopText[hop])
		case r.Mode == "direct":
			p.out.Step(term.Good, 0, "%s works from this machine", hopText[hop])
		default:
			p.out.Step(term.Good, 0, "%s works, by front %s", hopText[hop], listText(fronts))
		}
	}
}

// listText is numbers for people.
func listText(numbers []int) string {
	var all []string
	for _, n := range numbers {
		all = append(all, strconv.Itoa(n))
	}
	return strings.Join(all, ", ")
}
