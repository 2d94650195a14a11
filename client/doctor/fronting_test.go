package doctor

import (
	"errors"
	"strings"
	"testing"

	"culvert/internal/link"
)

func TestEachNameIsTriedWithEachHostOnce(t *testing.T) {
	t.Parallel()
	var fronts []link.Front
	for _, s := range []string{"wss://one.example/", "wss://cdn.example/;host=two.example/ws;dial=192.0.2.1", "wss://api.example/v1;door=gateway"} {
		f, err := link.ParseFront(strings.Replace(s, "/ws", "", 1))
		if err != nil {
			t.Fatal(err)
		}
		fronts = append(fronts, f)
	}
	var got []string
	for _, c := range combinations(fronts) {
		got = append(got, spell(c.Front))
	}
	want := []string{
		"wss://one.example/;sni=none",
		"wss://two.example/;dial=one.example:443;sni=one.example",
		"wss://two.example/;dial=one.example:443;sni=none;verify=one.example",
		"wss://api.example/v1;dial=one.example:443;sni=one.example;door=gateway",
		"wss://api.example/v1;dial=one.example:443;sni=none;verify=one.example;door=gateway",
	}
	if len(got) != 3*3*2-3 {
		t.Errorf("got %d combinations, want %d", len(got), 3*3*2-3)
	}
	for i, w := range want {
		if i >= len(got) || got[i] != w {
			t.Errorf("got %v, want %s as number %d", got, w, i)
		}
	}
	many := make([]link.Front, 0, 16)
	for i := range 16 {
		many = append(many, link.Front{Host: string(rune('a'+i)) + ".example", Path: "/"})
	}
	if got := len(combinations(many)); got != maxCombinations {
		t.Errorf("got %d combinations of 16 fronts, want %d", got, maxCombinations)
	}
}

func TestARefusalOfFrontingIsSaidInWords(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{421: "the CDN lets this name lead to no such host", 404: "another site answers (HTTP status 404)", 0: "no", 502: "no"} {
		if got := whyNoFronting(errors.New("no"), status); !strings.HasPrefix(got, want) {
			t.Errorf("%d: got %q, want %q", status, got, want)
		}
	}
}
