package link

import (
	"reflect"
	"strings"
	"testing"
)

func mustResolver(t testing.TB, s string) Resolver {
	t.Helper()
	r, err := ParseResolver(s)
	if err != nil {
		t.Fatalf("ParseResolver(%q): %v", s, err)
	}
	return r
}

func TestResolversHaveOneSpelling(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://dns.example":                            "https://dns.example/",
		"https://DNS.example:443/dns-query;dial=1.1.1.1": "https://dns.example/dns-query;dial=1.1.1.1:443",
		"https://9.9.9.9/dns-query":                      "https://9.9.9.9/dns-query",
		"https://cdn.example/dns-query;host=dns.example": "https://dns.example/dns-query;dial=cdn.example:443;sni=cdn.example",
		"https://dns.example:8443/;sni=none;pin=" + pinA: "https://dns.example:8443/;sni=none;pin=" + pinA,
	} {
		r, err := ParseResolver(in)
		if err != nil || r.String() != want {
			t.Errorf("%s: got %s, %v, want %s", in, r, err, want)
			continue
		}
		if again := mustResolver(t, want); !reflect.DeepEqual(again, r) {
			t.Errorf("%s: got %+v, want %+v", want, again, r)
		}
	}
}

func TestWhatIsNoResolverIsRefused(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                                      "write it as https://",
		"9.9.9.9":                               "write it as https://",
		"http://dns.example/":                   "write it as https://",
		"wss://dns.example/":                    "write it as https://",
		"https:///":                             "a host is",
		"https://dns.example/dns-query{?dns}":   "a path",
		"https://dns.example/;door=gateway":     "no door",
		"https://dns.example/;dial=a b":         "a host is",
		"https://" + strings.Repeat("a", 9_000): "longer than",
	} {
		if _, err := ParseResolver(in); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "example") {
			t.Errorf("%.40s: got %v, want %q and nothing quoted", in, err, want)
		}
	}
}
