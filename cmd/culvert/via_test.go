package main

import (
	"net/http/httptest"
	"strings"
	"testing"

	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/test/local/localtest"
	"culvert/test/proxy"
)

// behindProxy is a relay that is reached by a proxy alone, which knows its front's name.
func behindProxy(t *testing.T) (p *proxy.Proxy, at string, args []string) {
	t.Helper()
	r := localtest.Open(t)
	f := r.Link.Fronts[0]
	p = &proxy.Proxy{To: f.Addrs()[0], Credentials: true}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	dir := t.TempDir()
	if err := r.Save(dir); err != nil {
		t.Fatal(err)
	}
	f.Host = "front.example"
	l := &link.Link{Keys: r.Link.Keys, Fronts: []link.Front{f}}
	args = append(doctorFlags(t, dir), "--resolver", "none", "--link-file", file(t, "link", l.String(), 0o600))
	return p, strings.TrimPrefix(server.URL, "http://"), args
}

func TestDoctorGoesByTheProxyOfVia(t *testing.T) {
	t.Parallel()
	p, at, args := behindProxy(t)
	code, r := diagnose(t, append(args, "--via", "http://user:s3cret@"+at)...)
	if got := statuses(r); code != 0 || got != allPassed || len(p.Asked()) == 0 {
		t.Errorf("got code %d, %s and %d connections by the proxy, want all passed by it", code, got, len(p.Asked()))
	}
	for _, asked := range p.Asked() {
		if !strings.HasPrefix(asked, "front.example:443 ") {
			t.Errorf("the proxy was asked for %s, want the front's name", asked)
		}
	}
	code, r = diagnose(t, append(args, "--via", at)...)
	if c := r.Checks[1]; code != 1 || c.Hop != "network" || !strings.Contains(c.Problem, "another name or password") || !strings.Contains(c.Try, "--via") {
		t.Errorf("without a password: got %+v, want the proxy's refusal", c)
	}
}

// The environment is the process's: this test runs by itself.
func TestTheEnvironmentsProxyIsUsedUnlessViaOrNoProxySaysOtherwise(t *testing.T) {
	p, at, args := behindProxy(t)
	t.Setenv("ALL_PROXY", "http://user:s3cret@"+at)
	if code, r := diagnose(t, args...); code != 0 || len(p.Asked()) == 0 {
		t.Errorf("got code %d, %s and %d connections by the proxy, want all passed by it", code, statuses(r), len(p.Asked()))
	}
	out, stop := start(t, "connect", "--link-file", args[len(args)-1], "--chat", "127.0.0.1:0", "--media", "127.0.0.1:0", "--verbose", "--resolver", "none")
	text := out.Await(t, "Connected by front 1")
	if stop(); strings.Contains(text, "s3cret") {
		t.Errorf("got %s, want no password", text)
	}
	before := len(p.Asked())
	diagnose(t, append(args, "--via", "none", "--timeout", "3s")...)
	t.Setenv("NO_PROXY", "front.example")
	diagnose(t, append(args, "--timeout", "3s")...)
	if got := len(p.Asked()); got != before {
		t.Errorf("got %d connections by the proxy, want none", got-before)
	}
}

func TestAWrongProxyIsNotQuoted(t *testing.T) {
	l := file(t, "link", (&link.Link{Keys: seal.NewMaster().Client(1), Fronts: []link.Front{localtest.DeadFront(t)}}).String(), 0o600)
	for _, command := range []string{"connect", "doctor"} {
		for env, via := range map[string]string{"": "gopher://user:s3cret@a", "socks4://user:s3cret@a": ""} {
			t.Setenv("https_proxy", env)
			code, stdout, stderr := culvert(t, command, "--link-file", l, "--via", via)
			if code != 2 || !strings.Contains(stderr, "socks5://HOST:PORT") || strings.Contains(stdout+stderr, "s3cret") {
				t.Errorf("%s --via %s with https_proxy=%s: got %d, %s, want what a proxy is", command, via, env, code, stderr)
			}
		}
	}
}

func TestALookIsNamedOrRefused(t *testing.T) {
	t.Parallel()
	_, at, args := behindProxy(t)
	for _, name := range []string{"chromium", "firefox", "auto"} {
		if code, r := diagnose(t, append(args, "--via", "http://user:s3cret@"+at, "--look", name)...); code != 0 {
			t.Errorf("%s: got code %d, %s, want all passed", name, code, statuses(r))
		}
	}
	code, _, stderr := culvert(t, append([]string{"doctor"}, append(args, "--look", "go")...)...)
	if code != 2 || !strings.Contains(stderr, "auto, chromium, firefox") {
		t.Errorf("got code %d, %q, want what there is", code, stderr)
	}
}
