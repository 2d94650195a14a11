package household

import (
	"net/http"
	"strconv"
	"time"

	"culvert/internal/lang"
	"culvert/internal/page"
	"culvert/internal/term"
)

// refresh is how often, in seconds, a browser asks for the page again.
const refresh = 5

// Page is what a person sees who has a browser ask for one of the client's ports: how it does, and what phones are told.
// Here says that the browser runs on the client's own machine. The person's language is the one of "?lang=", or else one
// that the browser accepts.
func (s State) Page(q *http.Request, here bool) string {
	d := page.New(languageOf(q))
	d.Add("p", "This is Culvert. It carries WhatsApp from this network past what blocks it. Browsers cannot use this port; phones can.")
	s.tellState(d)
	s.tellPhones(d, here)
	d.Add("p", "Messages, pictures, voice notes and files go through it; calls do not.")
	if s.LAN {
		d.Add("h2", page.LeavingHome)
		d.Add("p.note", page.LeavingHomeTodo)
	}
	d.Languages()
	return d.HTML(title, refresh)
}

const title = "A proxy for WhatsApp"

func languageOf(q *http.Request) lang.Language {
	if l, ok := lang.Match(q.URL.Query().Get("lang")); ok {
		return l
	}
	return lang.Accepted(q.Header.Get("Accept-Language"))
}

// tellState says whether it works, by what, and how fast.
func (s State) tellState(d *page.Document) {
	if text, good := s.Says(d.Lang()); good {
		d.Add("p.state good", text)
	} else {
		d.Add("p.state bad", text)
		d.Add("p", "If it stays so, whoever set Culvert up can see why with the command culvert doctor.")
	}
	d.Table(s.Rows(d.Lang()))
}

// Rows are what a person wants to know of a client in any state.
func (s State) Rows(l lang.Language) []page.Row {
	rows := []page.Row{{Name: l.Text("Way"), Value: s.way(l)}}
	if s.Connected && s.RTT > 0 {
		rows = append(rows, page.Row{Name: l.Text("Round trip"), Value: term.Took(time.Duration(s.RTT * float64(time.Millisecond))), Code: true})
	}
	return append(rows,
		page.Row{Name: l.Text("Speed now"), Value: arrows(s.Up, s.Down, "/s"), Code: true},
		page.Row{Name: l.Text("Carried so far"), Value: arrows(s.Sent, s.Received, ""), Code: true},
		page.Row{Name: l.Text("Open connections"), Value: strconv.Itoa(s.Open), Code: true})
}

// Says is the state in a few words, and whether it is a good one.
func (s State) Says(l lang.Language) (text string, good bool) {
	switch {
	case s.Resting:
		return l.Text("Ready: it connects as soon as somebody uses it"), true
	case s.Connected:
		return l.Text("Connected"), true
	}
	return l.Text("Not connected, and trying again"), false
}

// way names the front and, if it is not the usual one, the door.
func (s State) way(l lang.Language) string {
	if s.Door == Gateway {
		return l.Text("front %d of %d, by the gateway", s.Front, s.Fronts)
	}
	return l.Text("front %d of %d", s.Front, s.Fronts)
}

// arrows are amounts up and down, which need no words.
func arrows(up, down uint64, of string) string {
	return "↑ " + term.Size(up) + of + "  ↓ " + term.Size(down) + of
}

// tellPhones says how the next phone is set.
func (s State) tellPhones(d *page.Document, here bool) {
	if s.Setting.Chat == 0 {
		return
	}
	d.Add("h2", "Set up a phone")
	if s.LAN && s.Setting.Link != "" {
		d.Add("p", "Join this network with the phone, scan the code with its camera, and open what it shows in WhatsApp.")
		d.QR(s.Setting.Link)
	}
	if s.Setting.Link != "" {
		d.Add("p", "On the phone itself, open this:")
		d.Anchor(s.Setting.Link, "Set WhatsApp's proxy")
	}
	d.Add("p", "Or enter it in WhatsApp under Settings, Storage and data, Proxy:")
	d.Table([]page.Row{
		{Name: d.Say("Host"), Value: s.Setting.Host, Code: true},
		{Name: d.Say("Chat port"), Value: strconv.Itoa(int(s.Setting.Chat)), Code: true},
		{Name: d.Say("Media port"), Value: strconv.Itoa(int(s.Setting.Media)), Code: true},
		{Name: d.Say("TLS"), Value: d.Say("off")},
	})
	if !s.LAN && here {
		d.Add("p.soft", "Only this device can use it so far. To let phones on this network in, start Culvert with --lan.")
	}
}
