// Package arrows holds no code: its test keeps the rooms apart.
package arrows

import (
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "culvert/"

// mayImport lists, for each room, all rooms of ours that its packages may
// import. The rooms stand as in docs/ARCHITECTURE.md; arrows point up in this
// list, towards internal/wire. "any" is for what is made of everything. A new
// arrow needs a reason in its commit.
var mayImport = map[string][]string{
	"internal/wire":      {},
	"internal/netpoll":   {},
	"internal/share":     {},
	"internal/pace":      {},
	"internal/dial":      {},
	"internal/doh":       {},
	"internal/ech":       {},
	"internal/guise":     {},
	"internal/site":      {"internal/guise"},
	"internal/cost":      {},
	"internal/aws":       {},
	"internal/version":   {},
	"internal/secret":    {},
	"internal/lang":      {},
	"internal/term":      {"internal/lang", "internal/secret", "internal/version"},
	"internal/page":      {"internal/lang", "internal/term"},
	"internal/seal":      {"internal/wire"},
	"internal/handover":  {"internal/wire"},
	"internal/tasks":     {},
	"internal/transport": {"internal/netpoll", "internal/tasks", "internal/wire"},
	"internal/session":   {"internal/seal", "internal/wire"},
	"internal/carrier":   {"internal/pace", "internal/netpoll", "internal/session", "internal/tasks", "internal/transport", "internal/wire"},
	"internal/tunnel":    {"internal/pace", "internal/carrier", "internal/netpoll", "internal/session", "internal/share", "internal/tasks", "internal/transport", "internal/wire"},
	"internal/whatsapp":  {"internal/dial", "internal/wire"},
	"internal/link":      {"internal/ech", "internal/seal", "internal/wire"},
	"internal/serve":     {"internal/guise", "internal/netpoll", "internal/secret", "internal/selfsigned", "internal/share", "internal/version"},

	"internal/selfsigned": {},

	"client/look":     {"internal/ech"},
	"client/front":    {"client/look", "internal/dial", "internal/doh", "internal/ech", "internal/link"},
	"client/visit":    {"client/look"},
	"client/listener": {"internal/dial", "internal/netpoll", "internal/selfsigned", "internal/share", "internal/whatsapp", "internal/wire"},
	"client/kept":     {},
	"client":          {"client/front", "client/kept", "client/visit", "internal/dial", "internal/share", "internal/link", "internal/netpoll", "internal/pace", "internal/carrier", "internal/tunnel", "internal/seal", "internal/session", "internal/tasks", "internal/transport", "internal/version", "internal/wire"},
	"origin":          {"internal/dial", "internal/handover", "internal/netpoll", "internal/carrier", "internal/share", "internal/tunnel", "internal/seal", "internal/session", "internal/tasks", "internal/transport", "internal/whatsapp", "internal/wire"},

	"proxy":            {"client/listener", "internal/netpoll", "internal/share", "internal/wire"},
	"edge":             {"internal/handover", "internal/wire"},
	"edge/gate":        {},
	"edge/passthrough": {"internal/guise", "internal/netpoll", "internal/share", "internal/site", "internal/wire"},
	"edge/worker":      {"internal/site"},
	"functions":        {"edge", "internal/wire"},

	"client/doctor":    {"client", "client/front", "internal/link", "internal/tunnel", "internal/term", "internal/whatsapp", "internal/wire"},
	"client/household": {"internal/lang", "internal/page", "internal/term"},
	"client/startup":   {"infra/package", "internal/secret"},
	"client/nearend":   {"client", "client/front", "client/household", "client/listener", "internal/link", "internal/netpoll", "internal/term", "internal/wire"},

	"cmd/culvert": {"client", "client/doctor", "client/front", "client/household", "client/look", "client/nearend", "client/startup", "internal/lang", "internal/link", "internal/page", "internal/seal", "internal/secret", "internal/term", "internal/whatsapp", "internal/wire"},
	"cmd/edge":    {"edge/passthrough", "internal/serve", "internal/site"},
	"cmd/local":   {"any"},
	"cmd/proxy":   {"client/listener", "internal/secret", "internal/serve", "internal/whatsapp", "proxy"},
	"cmd/origin":  {"cmd/origin/internal/setup", "internal/link", "internal/seal", "internal/secret", "internal/serve", "internal/site", "internal/term", "internal/whatsapp", "internal/wire", "origin"},
	"cmd/cloud":   {"internal/aws", "cmd/cloud/internal/advice", "cmd/cloud/internal/cfn", "internal/cost", "internal/term"},

	"cmd/cloud/internal/advice": {"internal/aws"},
	"cmd/origin/internal/setup": {"internal/dial", "internal/link", "internal/seal", "internal/secret", "internal/serve", "internal/term", "internal/version"},
	"cmd/cloud/internal/cfn":    {"internal/aws", "cmd/cloud/internal/advice", "internal/term"},

	"infra":           {"edge/gate"},
	"infra/package":   {},
	"test":            {"any"},
	"internal/arrows": {},
}

// neverReach lists what a room may not reach, by any number of steps, of ours or
// of others.
var neverReach = map[string][]string{
	"edge":             {"github.com/refraction-networking", "culvert/origin", "culvert/client", "culvert/internal/tunnel", "culvert/internal/carrier", "culvert/internal/transport", "culvert/internal/session", "culvert/internal/seal"},
	"edge/passthrough": {"github.com/refraction-networking", "culvert/origin", "culvert/client", "culvert/internal/tunnel", "culvert/internal/carrier", "culvert/internal/transport", "culvert/internal/session", "culvert/internal/seal"},
	"origin":           {"culvert/edge", "culvert/client", "github.com/refraction-networking"},
	"client":           {"culvert/edge", "culvert/origin"},
	"client/front":     {"culvert/edge", "culvert/origin", "culvert/internal/tunnel", "culvert/internal/carrier", "culvert/internal/transport"},
	"client/listener":  {"culvert/edge", "culvert/origin", "culvert/internal/tunnel", "culvert/internal/carrier", "culvert/internal/transport"},
	"client/doctor":    {"culvert/edge", "culvert/origin"},
	"cmd/culvert": {"culvert/edge", "culvert/origin", "culvert/internal/serve", "culvert/internal/cost", "culvert/internal/site",
		"culvert/cmd/cloud", "culvert/cmd/local", "github.com/prometheus", "github.com/aws", "github.com/caarlos0"},
	"cmd/origin":         {"culvert/client", "github.com/refraction-networking"},
	"cmd/edge":           {"github.com/refraction-networking", "culvert/origin", "culvert/client", "culvert/internal/session", "culvert/internal/seal", "culvert/internal/cost", "github.com/aws", "github.com/flynn"},
	"functions":          {"github.com/refraction-networking", "culvert/client", "culvert/internal/session", "culvert/internal/seal", "culvert/internal/tunnel", "culvert/internal/carrier", "culvert/internal/transport", "github.com/coder/websocket"},
	"internal/wire":      {"github.com/"},
	"internal/session":   {"culvert/internal/carrier", "culvert/internal/tunnel", "culvert/internal/transport", "culvert/internal/netpoll", "net/http"},
	"internal/carrier":   {"culvert/internal/tunnel"},
	"internal/transport": {"culvert/internal/session", "culvert/internal/seal", "culvert/internal/carrier", "culvert/internal/tunnel"},
	"internal/netpoll":   {"culvert/", "github.com/"},
}

// onlyBy are libraries that one room alone may import.
var onlyBy = map[string]string{
	"github.com/refraction-networking/utls": "client/look",
}

// mayReachTest is the program that is made of stand-ins, too. No product that
// a user runs links what is under test/.
var mayReachTest = []string{"cmd/local"}

// room is the longest entry of mayImport that path lies in.
func room(path string) string {
	best := ""
	for name := range mayImport {
		if (path == name || strings.HasPrefix(path, name+"/")) && len(name) > len(best) {
			best = name
		}
	}
	return best
}

// openFolders has the go command forget this test's result when a file of ours
// changes. It sees what the test opens, and not what go list does.
func openFolders(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if entry != nil && entry.IsDir() && path != "../.." && (strings.HasPrefix(entry.Name(), ".") || path == "../../bin") {
			return filepath.SkipDir
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// packages maps each package of ours to what it imports, or, with field "Deps",
// to all that it reaches.
func packages(t *testing.T, field string) map[string][]string {
	t.Helper()
	openFolders(t)
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{join .`+field+` " "}}`, module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	all := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		all[words[0]] = words[1:]
	}
	return all
}

func TestNoArrowIsNew(t *testing.T) {
	t.Parallel()
	for path, imports := range packages(t, "Imports") {
		from := room(strings.TrimPrefix(path, module))
		if from == "" {
			t.Errorf("%s is no room yet: say in mayImport what it may import", path)
			continue
		}
		for _, imported := range imports {
			name, ours := strings.CutPrefix(imported, module)
			to := room(name)
			if ours && to != from && !slices.Contains(mayImport[from], "any") && !slices.Contains(mayImport[from], to) {
				t.Errorf("%s imports %s, which %s may not", path, imported, from)
			}
		}
	}
}

func TestALibraryOfOneRoomIsImportedThereAlone(t *testing.T) {
	t.Parallel()
	for path, imports := range packages(t, "Imports") {
		for _, imported := range imports {
			if only, ok := onlyBy[imported]; ok && room(strings.TrimPrefix(path, module)) != only {
				t.Errorf("%s imports %s, which %s alone may", path, imported, only)
			}
		}
	}
}

// A list that names more than is used says nothing of how things are.
func TestNoListedArrowIsUnused(t *testing.T) {
	t.Parallel()
	used := map[string][]string{}
	for path, imports := range packages(t, "Imports") {
		from := room(strings.TrimPrefix(path, module))
		for _, imported := range imports {
			used[from] = append(used[from], room(strings.TrimPrefix(imported, module)))
		}
	}
	for from, rooms := range mayImport {
		for _, to := range rooms {
			if to != "any" && !slices.Contains(used[from], to) {
				t.Errorf("%s imports nothing of %s any more: take it off its list", from, to)
			}
		}
	}
}

func TestNoProductReachesWhatTriesIt(t *testing.T) {
	t.Parallel()
	for path, deps := range packages(t, "Deps") {
		from := room(strings.TrimPrefix(path, module))
		if from == "test" || slices.Contains(mayReachTest, from) {
			continue
		}
		for _, dep := range deps {
			if strings.HasPrefix(dep, module+"test/") {
				t.Errorf("%s reaches %s", path, dep)
			}
		}
	}
}

func TestRoomsThatStayApart(t *testing.T) {
	t.Parallel()
	for path, deps := range packages(t, "Deps") {
		for _, banned := range neverReach[room(strings.TrimPrefix(path, module))] {
			i := slices.IndexFunc(deps, func(dep string) bool {
				return dep == banned || strings.HasPrefix(dep, strings.TrimSuffix(banned, "/")+"/")
			})
			if i >= 0 {
				t.Errorf("%s reaches %s", path, deps[i])
			}
		}
	}
}
