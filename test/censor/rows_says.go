//go:build linux

package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"

	"culvert/test/censor/network"
)

// saysRows have culvert doctor name what the network, or the CDN, does.
func saysRows() []row {
	var all []row
	for _, r := range []struct {
		name, what, cause string
		works             bool // chat and media do nevertheless
		set               setting
	}{
		{"free", "nothing", "", true, setting{}},
		{"frozen", "freezes each connection after 15 kB", "frozen", true, setting{rules: network.Rules{Freeze: []network.Freeze{{Bytes: frozen15}}}}},
		{"gateway", "nothing, at the gateway door", "", true, setting{gateway: true}},
		{"gateway-frozen", "freezes each connection after 15 kB, at the gateway door", "frozen", true,
			setting{gateway: true, rules: network.Rules{Freeze: []network.Freeze{{Bytes: frozen15}}}}},
		{"stranger", "the link is another origin's", "not_let_in", false, setting{stranger: true}},
		{"name-silent", "drops ClientHellos with the front's name", "name_silent", false, setting{rules: network.Rules{Hello: []network.Hello{{Name: front1.name}}}}},
		{"name-reset", "resets ClientHellos with the front's name", "name_reset", false, setting{rules: network.Rules{Hello: []network.Hello{{Name: front1.name, Reset: true}}}}},
		{"address", "the front's address is dead", "address_silent", false, setting{rules: network.Rules{Dead: []netip.Addr{front1.address}}}},
		{"hello-size", "resets ClientHellos of more than 1,200 bytes", "hello_size", true, setting{rules: network.Rules{Hello: []network.Hello{{Longer: 1200, Reset: true}}}}},
		{"slow", "64 kbit/s", "slow", true, setting{rules: network.Rules{Up: rate64, Down: rate64}}},
		{"four-a-minute", "4 new connections a minute", "connections_limited", true, setting{rules: network.Rules{Connect: []network.Connect{{PerMinute: 4}}}}},
		{"no-upgrade", "nginx passes no Upgrade on", "no_upgrade", false, setting{fronts: changed("proxy_set_header Upgrade $http_upgrade;", "")}},
		{"no-cookies", "nginx passes no cookies on", "no_cookies", false, setting{fronts: changed("proxy_http_version 1.1;", "proxy_http_version 1.1; proxy_set_header Cookie \"\";")}},
		{"wrong-host", "nginx answers 421", "wrong_host", false, setting{fronts: changed("proxy_pass SCHEME://BACKEND;", "return 421;")}},
		{"no-websocket", "nginx shows another website", "no_websocket", false, setting{fronts: changed("proxy_pass SCHEME://BACKEND;", "return 200;")}},
	} {
		r.set.rules.Delay, r.set.proves = trip/2, true
		all = append(all, row{"says-" + r.name, r.what + ": doctor says so", false, func(t *trial) error { return says(t, r.set, r.cause, r.works) }})
	}
	idle := setting{rules: far(trip), idle: 8 * time.Second, proves: true}
	return append(all, row{"says-idle", "the CDN cuts connections that rest for 8 s: doctor says so", false,
		func(t *trial) error { return says(t, idle, "idle_cut", true, "--patient", "10s") }})
}

var rate64 = network.Rate{Bits: 64_000, Queue: time.Second}

// changed is front 1 with another configuration.
func changed(old, now string) []front {
	f := front1
	f.cdn.config = strings.Replace(f.cdn.config, old, now, 1)
	return []front{f}
}

// diagnosis is what culvert doctor --json prints, as far as rows ask for it.
type diagnosis struct {
	OK     bool
	Checks []struct{ Hop, Status, Problem, Cause, Try string }
}

// says wants doctor to name one cause, and no other, and whether the app works.
func says(t *trial, set setting, cause string, works bool, more ...string) error {
	w, err := newWorld(t.ctx, t.bin, set)
	defer func() {
		if t.verbose {
			t.tell(w)
		}
		w.close()
	}()
	if err != nil {
		return err
	}
	began := time.Now()
	d, err := w.diagnose(more...)
	if err != nil {
		return err
	}
	got := d.causes()
	t.add(finding{"causes", "[" + cause + "]", fmt.Sprint(got), fmt.Sprint(got) == "["+cause+"]"})
	t.add(finding{"chat and media work", fmt.Sprint(works), fmt.Sprint(d.OK), d.OK == works})
	t.seconds("doctor takes", time.Since(began), 40*time.Second, true)
	if t.verbose {
		fmt.Fprintf(&t.log, "%+v\n", d)
	}
	return nil
}

// causes are those of all hops, in their order.
func (d *diagnosis) causes() (all []string) {
	for _, c := range d.Checks {
		if c.Cause != "" {
			all = append(all, c.Cause)
		}
	}
	return all
}

// diagnose runs culvert doctor in the client's room. It may end with an error, which the
// verdict is.
func (w *world) diagnose(more ...string) (d *diagnosis, err error) {
	ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
	defer cancel()
	if err := os.WriteFile(w.file("media-ca"), w.standIn.Authority(), 0o600); err != nil {
		return nil, err
	}
	root := w.standIn.Root()
	args := append([]string{"doctor", "--json", "--link-file", w.file("link"),
		"--chat-root", hex.EncodeToString(root[:]), "--media-ca", w.file("media-ca")}, more...)
	out := new(strings.Builder)
	c := exec.CommandContext(ctx, w.bin+"/culvert", args...)
	c.Stdout = out
	if err := w.path.Client.Start(c); err != nil {
		return nil, err
	}
	_ = c.Wait() // it says that not all works, which the report says better
	d = new(diagnosis)
	if err := json.Unmarshal([]byte(out.String()), d); err != nil {
		return nil, fmt.Errorf("doctor printed no report: %w", err)
	}
	return d, nil
}
