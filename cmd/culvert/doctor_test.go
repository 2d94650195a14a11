package main

import (
	"context"
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"culvert/client"
	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/whatsapp"
	"culvert/internal/wire"
)

// doctorFlags are what makes doctor trust the relay that was saved in dir.
func doctorFlags(t *testing.T, dir string) []string {
	t.Helper()
	root, err := os.ReadFile(filepath.Join(dir, "chat-root"))
	if err != nil {
		t.Fatal(err)
	}
	return []string{"--chat-root", strings.TrimSpace(string(root)), "--media-ca", filepath.Join(dir, "media-ca")}
}

// diagnose runs doctor with --json.
func diagnose(t *testing.T, args ...string) (int, report) {
	t.Helper()
	code, stdout, stderr := culvert(t, append([]string{"doctor", "--json"}, args...)...)
	var r report
	d := json.NewDecoder(strings.NewReader(stdout))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		t.Fatalf("got %v for %q and %q, want a report", err, stdout, stderr)
	}
	return code, r
}

// statuses is "hop=status" for all hops behind the link.
func statuses(r report) string {
	var all []string
	for _, c := range r.Checks {
		all = append(all, c.Hop+"="+string(c.Status))
	}
	return strings.Join(all, " ")
}

const allPassed = "link=ok network=ok tls=ok gate=ok origin=ok chat=ok media_down=ok media_up=ok"

func TestDoctorPassesARelayThatWorks(t *testing.T) {
	t.Parallel()
	dir, _ := upStandIn(t)
	args := append(doctorFlags(t, dir), "--link-file", filepath.Join(dir, "link"))
	code, r := diagnose(t, args...)
	if got := statuses(r); code != 0 || !r.OK || r.Verdict != (verdict{true, true, true}) || got != allPassed {
		t.Errorf("got code %d, %+v, want 0 and all passed", code, r)
	}
	if r.Version != 1 || r.Mode != "link" {
		t.Errorf("got version %d and mode %q, want 1 and link", r.Version, r.Mode)
	}
	for _, c := range r.Checks {
		if (c.Hop == "chat") != (c.LeafSerial > 0) || strings.HasPrefix(c.Hop, "media") != (c.HTTPStatus > 0) {
			t.Errorf("got %+v, want a serial number of chat and statuses of media", c)
		}
	}
	code, text, _ := culvert(t, append([]string{"doctor"}, args...)...)
	if code != 0 || !strings.Contains(text, "says nothing about WhatsApp") || !strings.Contains(text, "Chat works, by front 1") {
		t.Errorf("got %d and %s, want a verdict that names the stand-in", code, text)
	}
	if strings.Contains(text, "127.0.0.1") {
		t.Errorf("got %s, want no address", text)
	}
	checkWidth(t, text)
}

func TestDoctorTakesNoStandInForWhatsApp(t *testing.T) {
	t.Parallel()
	dir, _ := upStandIn(t)
	code, r := diagnose(t, "--link-file", filepath.Join(dir, "link"))
	if code != 1 || r.OK || r.Verdict != (verdict{}) || len(r.by("origin")) != 1 {
		t.Errorf("got code %d, %+v, want 1 and nothing behind the origin", code, r)
	}
	for _, c := range r.Checks[5:] {
		if !strings.Contains(c.Problem, whatsapp.ErrSignature.Error()) || !strings.Contains(c.Try, "do not use this origin") {
			t.Errorf("got %+v, want a warning", c)
		}
	}
}

// deadFront refuses connections.
func deadFront(t *testing.T) link.Front {
	t.Helper()
	ln, err := listenHere()
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	return link.Front{Host: ln.Addr().String(), Path: "/"}
}

// mutedFront accepts connections and says nothing.
func mutedFront(t *testing.T) link.Front {
	t.Helper()
	ln, err := listenHere()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return link.Front{Host: ln.Addr().String(), Path: "/"}
}

func TestDoctorSaysWhichHopFails(t *testing.T) {
	t.Parallel()
	r, _ := openRelay(t)
	good := r.link.Fronts[0]
	unpinned := good
	unpinned.Pins = []link.Pin{{1}}
	stranger := seal.NewMaster().Client(1)
	for name, c := range map[string]struct {
		link *link.Link
		ok   bool
		want string
	}{
		"a front that is down": {&link.Link{Keys: r.link.Keys, Fronts: []link.Front{deadFront(t)}}, false,
			"link=ok network=failed tls=skipped gate=skipped origin=skipped chat=skipped media_down=skipped media_up=skipped"},
		"another certificate": {&link.Link{Keys: r.link.Keys, Fronts: []link.Front{unpinned}}, false,
			"link=ok network=ok tls=failed gate=skipped origin=skipped chat=skipped media_down=skipped media_up=skipped"},
		"keys of another origin": {&link.Link{Keys: stranger, Fronts: []link.Front{good}}, false,
			"link=ok network=ok tls=ok gate=failed origin=skipped chat=skipped media_down=skipped media_up=skipped"},
		"one front of two": {&link.Link{Keys: r.link.Keys, Fronts: []link.Front{deadFront(t), good}}, true,
			"link=ok network=failed tls=skipped gate=skipped origin=skipped chat=skipped media_down=skipped media_up=skipped " +
				strings.TrimPrefix(allPassed, "link=ok ")},
	} {
		t.Run(name, func(t *testing.T) {
			got := examineLink(t.Context(), c.link, r.trust, silent{})
			if err := got.judge(true); err == nil {
				t.Error("got no error, want one, as every front was to work")
			}
			if err := got.judge(false); (err == nil) != c.ok {
				t.Errorf("got %v, want an error: %v", err, !c.ok)
			}
			if s := statuses(*got); s != c.want || got.OK != c.ok {
				t.Errorf("got %v, %s\nwant %v, %s", got.OK, s, c.ok, c.want)
			}
			for _, one := range got.Checks {
				if one.Status == failed && (one.Problem == "" || one.Try == "") {
					t.Errorf("got %+v, want what is wrong and what to try", one)
				}
			}
		})
	}
}

func TestDoctorSaysThatTheOriginCannotReachWhatsApp(t *testing.T) {
	t.Parallel()
	r := &localRelay{trust: genuine(), failed: func(error) {}}
	r.upstream.LookupIP = func(context.Context, string, string) ([]netip.Addr, error) { return nil, &net.DNSError{} }
	t.Cleanup(r.close)
	master := seal.NewMaster()
	if err := r.startOrigin(master); err != nil {
		t.Fatal(err)
	}
	if err := r.startEdge(master); err != nil {
		t.Fatal(err)
	}
	got := examineLink(t.Context(), r.link, r.trust, silent{})
	for _, c := range got.Checks[5:] {
		if c.Status != failed || c.Problem != "the origin cannot reach WhatsApp" || !strings.Contains(c.Try, "--direct") {
			t.Errorf("got %+v, want that the origin's way ends", c)
		}
	}
}

func TestDoctorNeverHangs(t *testing.T) {
	t.Parallel()
	l := &link.Link{Keys: seal.NewMaster().Client(1), Fronts: []link.Front{mutedFront(t)}}
	begin := time.Now()
	code, r := diagnose(t, l.String(), "--timeout", "200ms")
	if took := time.Since(begin); code != 1 || took > 5*time.Second {
		t.Errorf("got code %d after %v, want 1 at once", code, took)
	}
	if got := statuses(r); !strings.HasPrefix(got, "link=ok network=ok tls=failed gate=skipped") {
		t.Errorf("got %s, want TLS failed", got)
	}
}

func TestDoctorReportsABadLink(t *testing.T) {
	t.Parallel()
	code, r := diagnose(t, "culvert:abcdefgh")
	if code != 1 || statuses(r) != "link=failed" || r.OK {
		t.Errorf("got %d, %+v, want 1 and a failed link", code, r)
	}
}

func TestDoctorAsksDirectly(t *testing.T) {
	t.Parallel()
	r, _ := openRelay(t)
	u := &whatsapp.Upstream{Chat: r.upstream.Chat, Media: r.upstream.Media, AllowPrivate: true}
	got := examineDirect(t.Context(), u, r.trust, silent{})
	if err := got.judge(true); err != nil || !got.OK || got.Mode != "direct" || statuses(*got) != "chat=ok media_down=ok media_up=ok" {
		t.Errorf("got %+v, want all passed", got)
	}
	nobody := deadFront(t).Host
	code, broken := diagnose(t, "--direct", "--upstream-chat", nobody, "--upstream-media", nobody)
	if code != 1 || statuses(broken) != "chat=failed media_down=failed media_up=failed" {
		t.Errorf("got %d, %+v, want 1 and all failed", code, broken)
	}
}

func TestDoctorRefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"nothing to go by":               {},
		"two ways at once":               {"--direct", "culvert:a"},
		"an upstream of links":           {"culvert:a", "--upstream-chat", "127.0.0.1:1"},
		"no time":                        {"--direct", "--timeout", "0s"},
		"an upstream that is no address": {"--direct", "--upstream-chat", "here"},
	} {
		if code, _, _ := culvert(t, append([]string{"doctor"}, args...)...); code != 2 {
			t.Errorf("%s: got code %d, want 2", name, code)
		}
	}
	for name, args := range map[string][]string{
		"a root that is no key":  {"--chat-root", "12"},
		"a CA that is not there": {"--media-ca", filepath.Join(t.TempDir(), "none")},
		"a CA that is none":      {"--media-ca", file(t, "ca", "no PEM", 0o600)},
	} {
		code, _, stderr := culvert(t, append([]string{"doctor", "--direct"}, args...)...)
		if code == 0 || strings.Contains(stderr, "not all of chat") {
			t.Errorf("%s: got %d, %q, want a refusal", name, code, stderr)
		}
	}
}

func TestAdviceFollowsTheOriginsReason(t *testing.T) {
	t.Parallel()
	for why, want := range map[wire.Reason]string{
		wire.Unreachable: "--direct", wire.Refused: "new one", wire.Clock: "clock", wire.Busy: "later", wire.NotAllowed: "current version",
	} {
		if problem, try := adviceRelay(proof{err: whatsapp.ErrClosed}, why); problem == "" || !strings.Contains(try, want) {
			t.Errorf("%v: got %q, %q, want %q", why, problem, try, want)
		}
	}
	for _, err := range []error{whatsapp.ErrSignature, whatsapp.ErrNotWhatsApp, whatsapp.ErrClosed, whatsapp.ErrTimeout, context.DeadlineExceeded} {
		p := proof{err: err}
		problem, try := adviceRelay(p, 0)
		here, tryHere := adviceDirect(p, "chat")
		if problem == "" || try == "" || here == "" || tryHere == "" {
			t.Errorf("%v: got %q, %q and %q, %q, want texts", err, problem, try, here, tryHere)
		}
	}
}

func TestAWrongClockIsReported(t *testing.T) {
	t.Parallel()
	p := client.Probed{Hops: []client.Hop{{Name: client.HopNetwork}, {Name: client.HopTLS}, {Name: client.HopGate}}, Ahead: -2 * time.Hour}
	checks := frontChecks(1, p)
	if got := checks[2].Detail; !strings.Contains(got, "clock is wrong by 2h0m0s") {
		t.Errorf("got %q, want the clock in it", got)
	}
}
