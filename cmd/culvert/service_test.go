package main

import (
	"slices"
	"strings"
	"testing"

	"culvert/client/startup"
	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/term"
	"culvert/test/local/localtest"
)

// parsed is a command line of "culvert service install".
func parsed(t *testing.T, args ...string) (o *connectOptions, given []string) {
	t.Helper()
	o = connectFlags("culvert service install", "", "")
	o.flags.Record(&given)
	if _, err := o.flags.ParseAll(args, nil); err != nil {
		t.Fatal(err)
	}
	return o, given
}

func TestAServiceIsToldTheFlagsAndNotTheLink(t *testing.T) {
	t.Parallel()
	l := &link.Link{Keys: seal.NewMaster().Client(1), Fronts: []link.Front{localtest.DeadFront(t)}}
	name := file(t, "link", "See: "+l.String()+"\n", 0o600)
	o, given := parsed(t, "--resolver", "https://a.example/dns-query", "--link-file", name, "--lan", "--resolver=https://b.example/dns-query")
	got, err := o.client(t.Context(), nil, given, installation{}, nil)
	want := []string{"--resolver=https://a.example/dns-query", "--lan=true", "--resolver=https://b.example/dns-query"}
	if err != nil || !slices.Equal(got.Options, want) || got.Link != l.String() {
		t.Errorf("got %q, %v and %v, want %q and the link", got.Options, got.Link == l.String(), err, want)
	}
}

func TestWhatAServiceCannotBeToldIsRefused(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"--resolver https://a/;b":  "--resolver: in a service's flags",
		"--via http://me:pw@proxy": "password",
		"--dial-rate 0":            "--dial-rate",
		"--visit perhaps":          "--visit",
		"--link-file none":         "no such file",
		"--look netscape":          "--look",
	} {
		o, given := parsed(t, strings.Fields(args)...)
		_, err := o.client(t.Context(), nil, given, installation{installed: true}, nil)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "pw") {
			t.Errorf("%s: got %v, want %q", args, err, want)
		}
	}
}

// Such a service would end for its port and be started again for ever.
func TestAPortThatAServiceMayNotHaveIsRefused(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"--also :8080 --also :443": "--also: ports below 1024", "--chat 127.0.0.1:80": "--chat: ports", "--media [::]:1023": "--media: ports",
		"--web localhost:http": "--web: ports", "--raw-chat :22": "--raw-chat: ports",
		"--also :1024 --chat :0 --web 127.0.0.1:1080": "", "--lan": "",
	} {
		o, given := parsed(t, strings.Fields(args)...)
		_, err := o.client(t.Context(), nil, given, installation{installed: true, firstPort: 1024}, nil)
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "choose 1024")) {
			t.Errorf("%s: got %v, want %q and what to choose", args, err, want)
		}
	}
}

func TestAPasswordIsSentToWhereTheServiceFindsIt(t *testing.T) {
	t.Parallel()
	o, given := parsed(t, "--via", "http://me:pw@proxy")
	_, err := o.client(t.Context(), nil, given, installation{true, startup.Place{Line: "HTTPS_PROXY=URL", File: "/etc/default/culvert"}, 0}, nil)
	if err == nil || !strings.Contains(err.Error(), "write HTTPS_PROXY=URL into /etc/default/culvert") || strings.Contains(err.Error(), "pw") {
		t.Errorf("got %v, want where the proxy is written", err)
	}
}

// Whoever has a proxy in a shell's environment would wait for a service that has none.
func TestAProxyThatTheServiceLacksIsToldOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, via, want string }{
		{"ALL_PROXY", "", "--via URL"}, {"https_proxy", "", "--via URL"}, {"ALL_PROXY", "none", ""}, {"NO_PROXY", "", ""},
	} {
		var said strings.Builder
		(&dialerSource{via: c.via}).tellProxy(term.NewTestConsole(&said, false), new(startup.System), func(name string) string {
			if name == c.name {
				return "http://me:pw@proxy"
			}
			return ""
		})
		if got := said.String(); (got == "") != (c.want == "") || !strings.Contains(got, c.want) || strings.Contains(got, "pw") {
			t.Errorf("%s and --via %s: got %q, want %q", c.name, c.via, got, c.want)
		}
	}
}

func TestAnInstalledLinkStaysWhereNoneIsNamed(t *testing.T) {
	t.Parallel()
	o, given := parsed(t, "--lan")
	if got, err := o.client(t.Context(), nil, given, installation{installed: true}, nil); err != nil || got.Link != "" {
		t.Errorf("got %q and %v, want no other link", got.Link, err)
	}
}
