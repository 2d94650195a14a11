package household

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"culvert/internal/lang"
)

// home is a client that phones use.
func home() State {
	return State{
		Connected: true, Front: 2, Fronts: 3, Door: Stream, RTT: 152.4, Open: 5, Carriers: 2,
		Sent: 1 << 20, Received: 64 << 20, Up: 12_000, Down: 1_500_000, LAN: true,
		Setting: Setting{Host: "192.168.1.7", Chat: 5222, Media: 7777, Link: "https://wa.me/proxy?host=192.168.1.7&chatPort=5222&mediaPort=7777&chatTLS=false"},
	}
}

func asked(target, languages string) *http.Request {
	q := httptest.NewRequest(http.MethodGet, target, nil)
	q.Header.Set("Accept-Language", languages)
	return q
}

func TestThePageSaysHowItGoesInThePersonsLanguage(t *testing.T) {
	t.Parallel()
	for _, l := range lang.All {
		page := strings.ReplaceAll(home().Page(asked("/", string(l)), true), "\u00a0", " ")
		for _, want := range []string{
			`lang="` + l.Tag() + `" dir="` + l.Dir() + `"`, l.Text("Connected"), l.Text("front %d of %d", 2, 3), "152 ms", "1.5 MB/s",
			"<code>192.168.1.7</code>", "<code>5222</code>", "<code>7777</code>", "<svg", l.Text("When you leave home"),
		} {
			if !strings.Contains(page, want) {
				t.Errorf("%s: no %q", l, want)
			}
		}
		if l != lang.English && strings.Contains(page, "When you leave home") {
			t.Errorf("%s: English is left on the page", l)
		}
	}
	if page := home().Page(asked("/?lang=my", "fa"), true); !strings.Contains(page, `lang="my"`) {
		t.Error("the language that was chosen on the page is not that of the page")
	}
	if page := home().Page(asked("/?lang=%22%3E%3Cscript%3E", "xx"), true); strings.Contains(page, "<script") || !strings.Contains(page, `lang="en"`) {
		t.Error("a language that is none got into the page")
	}
}

func TestThePageSaysWhatIsTheMatter(t *testing.T) {
	t.Parallel()
	away, resting, alone := home(), home(), home()
	away.Connected, away.Door, away.RTT = false, "", 0
	resting.Resting = true
	alone.LAN = false
	for name, c := range map[string]struct {
		s       State
		has, no string
	}{
		"not connected": {away, "Not connected, and trying again", "152 ms"},
		"resting":       {resting, "Ready: it connects", "Not connected"},
		"gateway":       {State{Connected: true, Front: 1, Fronts: 1, Door: Gateway}, "front 1 of 1, by the gateway", "Set up a phone"},
		"loopback":      {alone, "start Culvert with <bdi", "When you leave home"},
	} {
		if page := c.s.Page(asked("/", "en"), true); !strings.Contains(page, c.has) || strings.Contains(page, c.no) {
			t.Errorf("%s: want %q and no %q in %s", name, c.has, c.no, page)
		}
	}
	if page := alone.Page(asked("/", "en"), false); strings.Contains(page, "--lan") {
		t.Error("somebody on the network is told how to start a client that is not theirs")
	}
}

// What a page fetches from elsewhere would tell who looks at it, and what a script does nobody can see.
func TestThePageFetchesAndRunsNothing(t *testing.T) {
	t.Parallel()
	page := home().Page(asked("/", "fa"), true)
	for _, banned := range []string{"<script", "src=", "url(", "@import", "<link", "<iframe", "<img", "javascript:", "onload"} {
		if strings.Contains(page, banned) {
			t.Errorf("there is %q in the page", banned)
		}
	}
	if !strings.Contains(page, `http-equiv="Content-Security-Policy" content="default-src 'none'`) {
		t.Error("the page does not forbid itself the rest")
	}
}

func TestASpeedIsOfTheTimeSinceTheLastLook(t *testing.T) {
	t.Parallel()
	var m Meter
	begin := time.Now()
	for _, c := range []struct {
		after            time.Duration
		up, down         uint64
		wantUp, wantDown uint64
	}{
		{0, 1000, 2000, 0, 0},
		{2 * time.Second, 3000, 12000, 1000, 5000},
		{2500 * time.Millisecond, 3500, 12500, 1000, 4200},
		{5 * time.Second, 3500, 12500, 166, 166},
		{time.Hour, 9000, 12500, 0, 0},
	} {
		up, down := m.Rate(begin.Add(c.after), c.up, c.down)
		if up != c.wantUp || down != c.wantDown {
			t.Errorf("after %s: got %d and %d, want %d and %d", c.after, up, down, c.wantUp, c.wantDown)
		}
	}
}
