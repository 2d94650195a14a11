package fronting

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"culvert/client/doctor"
)

// combinations are what doctor finds of a link's names and hosts.
func (w *world) combinations(link string) map[string]doctor.Combination {
	w.Helper()
	out, _ := output(filepath.Join(bin, "culvert"), "doctor", "--json", "--timeout", "20s", "--state", "none", "--fronting", "--link-file", link)
	var r struct{ Fronting []doctor.Combination }
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		w.Fatalf("%q: %v", out, err)
	}
	all := map[string]doctor.Combination{}
	for _, c := range r.Fronting {
		key := string(rune('0'+c.Way)) + string(rune('0'+c.Inside))
		if c.NoName {
			key += " no name"
		}
		all[key] = c
	}
	return all
}

// A CDN that routes by Host lets the name of one front lead to the host of another: doctor finds
// that, though the link does not have it.
func TestDoctorFindsWhichNamesLeadToWhichHosts(t *testing.T) {
	t.Parallel()
	cdns(t, time.Minute, func(t *testing.T, c *cdn) {
		link := c.link(c.pin, c.front(hidden, ";sni="+hidden+";verify="+other), c.front(other, ";sni="+other))
		all := c.combinations(link)
		for _, works := range []string{"21", "11 no name"} {
			if got := all[works]; got.Status != doctor.Passed {
				t.Errorf("%s: got %+v, want the origin", works, got)
			}
		}
		for _, fails := range []string{"12", "12 no name"} {
			if got := all[fails]; got.Status != doctor.Failed || got.Hop != doctor.Gate || !strings.Contains(got.Problem, "another site answers") {
				t.Errorf("%s: got %+v, want the other site", fails, got)
			}
		}
	})
}

// strict is a CDN that answers 421 where the name in the clear is not the host inside.
const strict = `server_name HIDDEN;
		if ($ssl_server_name != $host) { return 421; }`

func TestDoctorSaysThatACDNWantsOneName(t *testing.T) {
	t.Parallel()
	need(t, "nginx")
	w := newWorld(t)
	c := newCDN(w, time.Minute, func(c *cdn) *program {
		return startNginxWith(c, strings.Replace(nginxConfig, "server_name HIDDEN;", strict, 1))
	}, func(*cdn) {})
	link := c.link(c.pin, c.front(hidden, ";sni="+hidden+";verify="+other), c.front(other, ";sni="+other))
	all := c.combinations(link)
	for _, fails := range []string{"21", "11 no name"} {
		if got := all[fails]; got.Status != doctor.Failed || !strings.Contains(got.Problem, "421") {
			t.Errorf("%s: got %+v, want 421 to be said", fails, got)
		}
	}
}
