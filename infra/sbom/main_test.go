package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTheBillNamesWhatAProgramIsMadeOf(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "edge")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "culvert/cmd/edge").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var first, second bytes.Buffer
	if err := write(&first, []string{program, program}); err != nil {
		t.Fatal(err)
	}
	write(&second, []string{program, program})
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("got two bills of one program, want the same")
	}
	var b bill
	if err := json.Unmarshal(first.Bytes(), &b); err != nil {
		t.Fatal(err)
	}
	has := func(name, begin string) bool {
		return slices.ContainsFunc(b.Components, func(c component) bool { return c.Name == name && strings.HasPrefix(c.PURL, begin) })
	}
	for name, begin := range map[string]string{"edge": "", "stdlib": "pkg:golang/std@1.", "github.com/prometheus/client_golang": "pkg:golang/github.com/prometheus/client_golang@v1."} {
		if !has(name, begin) {
			t.Errorf("got no component %s, want one", name)
		}
	}
	if has("github.com/flynn/noise", "") {
		t.Error("got what the edge does not link, want none of it")
	}
	for _, c := range b.Components {
		if c.Type == "library" && c.Name != "stdlib" && (len(c.Properties) != 1 || !strings.HasPrefix(c.Properties[0].Value, "h1:")) {
			t.Errorf("%s: got %v, want its hash", c.Name, c.Properties)
		}
	}
}

func TestWhatIsNoProgramHasNoBill(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(file, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := write(&bytes.Buffer{}, []string{file}); err == nil {
		t.Error("got no error, want one")
	}
}
