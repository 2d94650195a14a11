package main

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"culvert/client/doctor"
	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/whatsapp"
	"culvert/test/local/localtest"
	"culvert/test/screen"
)

// saved is a folder with what a relay to a stand-in saves for other programs.
func saved(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := localtest.Open(t).Save(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

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
func diagnose(t *testing.T, args ...string) (int, doctor.Report) {
	t.Helper()
	code, stdout, stderr := culvert(t, append([]string{"doctor", "--json"}, args...)...)
	var r doctor.Report
	d := json.NewDecoder(strings.NewReader(stdout))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		t.Fatalf("got %v for %q and %q, want a report", err, stdout, stderr)
	}
	return code, r
}

// statuses is "hop=status" for all hops behind the link.
func statuses(r doctor.Report) string {
	var all []string
	for _, c := range r.Checks {
		all = append(all, string(c.Hop)+"="+string(c.Status))
	}
	return strings.Join(all, " ")
}

const allPassed = "link=ok network=ok tls=ok gate=ok origin=ok path=ok chat=ok media_down=ok media_up=ok"

func TestDoctorPassesARelayThatWorks(t *testing.T) {
	t.Parallel()
	dir := saved(t)
	args := append(doctorFlags(t, dir), "--link-file", filepath.Join(dir, "link"))
	code, r := diagnose(t, args...)
	if got := statuses(r); code != 0 || !r.OK || r.Verdict != (doctor.Verdict{Chat: true, MediaDown: true, MediaUp: true}) || got != allPassed {
		t.Errorf("got code %d, %+v, want 0 and all passed", code, r)
	}
	if r.Version != 1 || r.Mode != "link" {
		t.Errorf("got version %d and mode %q, want 1 and link", r.Version, r.Mode)
	}
	for _, c := range r.Checks {
		if (c.Hop == doctor.Chat) != (c.LeafSerial > 0) || strings.HasPrefix(string(c.Hop), "media") != (c.HTTPStatus > 0) {
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
	screen.CheckWidth(t, text)
}

func TestDoctorTakesNoStandInForWhatsApp(t *testing.T) {
	t.Parallel()
	dir := saved(t)
	code, r := diagnose(t, "--link-file", filepath.Join(dir, "link"))
	if code != 1 || r.OK || r.Verdict != (doctor.Verdict{}) || len(r.By(doctor.Origin)) != 1 {
		t.Errorf("got code %d, %+v, want 1 and nothing behind the origin", code, r)
	}
	for _, c := range r.Checks[6:] {
		if !strings.Contains(c.Problem, whatsapp.ErrSignature.Error()) || !strings.Contains(c.Try, "do not use this origin") {
			t.Errorf("got %+v, want a warning", c)
		}
	}
}

// mutedFront accepts connections and says nothing.
func mutedFront(t *testing.T) link.Front {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return link.Front{Host: ln.Addr().String(), Path: "/"}
}

func TestDoctorNeverHangs(t *testing.T) {
	t.Parallel()
	l := &link.Link{Keys: seal.NewMaster().Client(1), Fronts: []link.Front{mutedFront(t)}}
	begin := time.Now()
	code, r := diagnose(t, "--link-file", file(t, "link", l.String(), 0o600), "--timeout", "200ms")
	if took := time.Since(begin); code != 1 || took > 20*time.Second {
		t.Errorf("got code %d after %v, want 1 at once", code, took)
	}
	if got := statuses(r); !strings.HasPrefix(got, "link=ok network=ok tls=failed gate=skipped") || r.Checks[2].Cause != doctor.TLSSilent {
		t.Errorf("got %s, %+v, want TLS failed in silence", got, r.Checks[2])
	}
}

func TestDoctorReportsABadLink(t *testing.T) {
	t.Parallel()
	code, r := diagnose(t, "--link-file", file(t, "link", "culvert:abcdefgh", 0o600))
	if code != 1 || statuses(r) != "link=failed" || r.OK {
		t.Errorf("got %d, %+v, want 1 and a doctor.Failed link", code, r)
	}
}

func TestDoctorAsksDirectly(t *testing.T) {
	t.Parallel()
	nobody := localtest.DeadFront(t).Host
	code, broken := diagnose(t, "--direct", "--upstream-chat", nobody, "--upstream-media", nobody)
	if code != 1 || statuses(broken) != "chat=failed media_down=failed media_up=failed" {
		t.Errorf("got %d, %+v, want 1 and all failed", code, broken)
	}
	if _, r := diagnose(t, "--direct", "--upstream-chat", nobody, "--upstream-media", nobody, "--admin", nobody); !strings.HasSuffix(statuses(r), " shares=failed") {
		t.Errorf("got %+v, want no word of the origin", r)
	}
}

func TestDoctorRefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"nothing to go by":               {},
		"two ways at once":               {"--direct", "culvert:a"},
		"an origin's limits from afar":   {"culvert:a", "--admin", "127.0.0.1:1"},
		"an upstream of links":           {"culvert:a", "--upstream-chat", "127.0.0.1:1"},
		"no time":                        {"--direct", "--timeout", "0s"},
		"a rest that is too long":        {"culvert:a", "--patient", "2m"},
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
