package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"culvert/edge/gate"
)

func TestTheTemplatesHoldTheTextsOfToday(t *testing.T) {
	t.Parallel()
	texts, err := texts("..")
	if err != nil {
		t.Fatal(err)
	}
	templates, err := filepath.Glob("../*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	held := map[string]bool{}
	for _, name := range templates {
		old, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		now, err := embed(string(old), texts)
		if err != nil || now != string(old) {
			t.Errorf("%s is stale (%v): go run ./infra/embed", name, err)
		}
		for text := range texts {
			held[text] = held[text] || strings.Contains(now, "# BEGIN "+text+"\n")
		}
	}
	for text := range texts {
		if !held[text] {
			t.Errorf("no template holds %s", text)
		}
	}
}

func TestSubGivesBackWhatWasWritten(t *testing.T) {
	t.Parallel()
	got := forSub("x=${a} ${!b} 'HERE' HERE", "HERE", "${Here}")
	if want := "x=${!a} ${!!b} '${Here}' HERE"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOnlyWhatIsBetweenTheMarkersChanges(t *testing.T) {
	t.Parallel()
	const before = "a:\n  # BEGIN x\n  - old\n# END y\n  # END x\n  - b\n"
	const after = "a:\n  # BEGIN x\n  - |\n    one\n\n    two\n  # END x\n  - b\n"
	texts := map[string]string{"x": "one\n\ntwo\n"}
	for _, template := range []string{before, after} {
		if got, err := embed(template, texts); got != after || err != nil {
			t.Errorf("got %q and %v, want %q", got, err, after)
		}
	}
}

func TestAMarkerWithoutItsTextOrEndIsRefused(t *testing.T) {
	t.Parallel()
	for template, want := range map[string]string{
		"# BEGIN z\n# END z\n":         `no text "z"`,
		"# BEGIN x\n- |\n  one\n":      `"# END x" is missing`,
		"# BEGIN x\n# END X\n# END  y": `"# END x" is missing`,
	} {
		if _, err := embed(template, map[string]string{"x": "one\n"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", template, err, want)
		}
	}
}

func TestTheGateSendsStrangersToAnOriginThatIsThere(t *testing.T) {
	t.Parallel()
	distribution, err := os.ReadFile("../distribution.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(gate.Code(""), "const site = '")
	id, _, _ := strings.Cut(rest, "'")
	if !strings.Contains(string(distribution), "- Id: "+id+"\n") {
		t.Errorf("got no origin %q in distribution.yaml", id)
	}
}
