package front

import (
	"net/url"
	"testing"

	"golang.org/x/net/http/httpproxy"
)

// hostsAsked are asked for; each of exemptLists is what NO_PROXY may say.
var (
	hostsAsked = []string{"cdn.example:443", "a.cdn.example:443", "xcdn.example:443", "CDN.Example:8443", "other.example:443", "localhost:443",
		"127.0.0.1:443", "127.9.9.9:80", "[::1]:443", "192.0.2.7:443", "192.0.3.7:443", "[2001:db8::7]:443", "10.0.0.1:8443", "cdn.example.:443"}
	exemptLists = []string{"", "*", "cdn.example", ".cdn.example", "*.cdn.example", " CDN.example , other.example", "cdn.example:443", "cdn.example:8443",
		"192.0.2.0/24", "192.0.2.7", "192.0.2.7:443", "192.0.2.7:80", "2001:db8::/32", "[2001:db8::7]:443", "10.0.0.0/8,*.example", ",,", "300.1.1.1", "/", "a/b"}
)

func TestExemptionsAreThoseOfOtherPrograms(t *testing.T) {
	t.Parallel()
	for _, list := range exemptLists {
		for _, host := range hostsAsked {
			checkExempt(t, list, host)
		}
	}
}

// checkExempt compares what we say with what golang.org/x/net says.
func checkExempt(t *testing.T, list, host string) {
	t.Helper()
	env := map[string]string{"HTTPS_PROXY": "http://proxy.example", "NO_PROXY": list}
	ours, err := ProxyFrom(func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	theirs := httpproxy.Config{HTTPSProxy: env["HTTPS_PROXY"], NoProxy: list}
	want, err := theirs.ProxyFunc()(&url.URL{Scheme: "https", Host: host})
	if err != nil {
		t.Fatal(err)
	}
	if got := ours.to(host); (got == nil) != (want == nil) {
		t.Errorf("NO_PROXY=%q, %s: got a proxy: %v, want %v", list, host, got != nil, want != nil)
	}
}
