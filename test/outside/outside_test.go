// Package outside tries the client as a module of somebody else uses it, who can import nothing of internal/.
package outside

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// page has the program that is tried.
const page = "../../docs/PROGRAMS.md"

var goFence = regexp.MustCompile("(?s)```go\n(.*?)```")

// module is a go.mod that takes this clone as "culvert", and the libraries that it takes.
func module(t *testing.T) string {
	t.Helper()
	ours, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(string(ours), "module culvert\n", "module example.org/near\n\nrequire culvert v0.0.0\n\nreplace culvert => "+root+"\n", 1)
}

func write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTheProgramsOfTheManualAreCompiledElsewhere(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	programs := goFence.FindAllSubmatch(text, -1)
	if len(programs) < 2 {
		t.Fatalf("got %d programs in %s, want 2", len(programs), page)
	}
	sums, err := os.ReadFile("../../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	write(t, filepath.Join(folder, "go.mod"), []byte(module(t)))
	write(t, filepath.Join(folder, "go.sum"), sums)
	for i, program := range programs {
		name := filepath.Join(folder, string(rune('a'+i)), "main.go")
		if err := os.Mkdir(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, name, program[1])
	}
	cmd := exec.CommandContext(t.Context(), "go", "vet", "./...")
	cmd.Dir, cmd.Env = folder, append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("go vet: %v\n%s", err, out)
	}
}
