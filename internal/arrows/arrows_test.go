// Package arrows holds no code: its test keeps the rooms apart.
package arrows

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "culvert/"

// mayReach lists, for each room, all rooms of ours that it may reach. "any" is
// for what people run and for what is made of everything. A new arrow needs a
// reason in its commit.
var mayReach = map[string][]string{
	"internal/wire":     {},
	"internal/netpoll":  {},
	"internal/dial":     {},
	"internal/seal":     {"internal/wire"},
	"internal/relay":    {"internal/netpoll", "internal/wire"},
	"internal/whatsapp": {"internal/dial", "internal/wire"},
	"internal/link":     {"internal/seal", "internal/wire"},
	"internal/handover": {"internal/wire"},
	"internal/site":     {},
	"internal/cost":     {},
	"internal/version":  {},
	"internal/term":     {"internal/version"},
	"internal/serve":    {"internal/netpoll", "internal/site", "internal/version", "internal/wire"},
	"client/front":      {"internal/dial", "internal/link", "internal/seal", "internal/wire"},
	"client/listener":   {"internal/dial", "internal/netpoll", "internal/whatsapp", "internal/wire"},
	"client":            {"client/front", "internal/dial", "internal/link", "internal/netpoll", "internal/relay", "internal/seal", "internal/wire"},
	"origin":            {"internal/dial", "internal/handover", "internal/netpoll", "internal/relay", "internal/seal", "internal/site", "internal/whatsapp", "internal/wire"},
	"edge":              {"internal/handover", "internal/netpoll", "internal/site", "internal/wire"},
	"functions":         {"edge", "internal/handover", "internal/netpoll", "internal/site", "internal/wire"},
	"cmd":               {"any"},
	"cmd/cloud":         {"cmd/cloud/internal/aws", "cmd/cloud/internal/advice", "cmd/cloud/internal/cfn", "internal/cost", "internal/term", "internal/version"},

	"cmd/cloud/internal/aws":    {},
	"cmd/cloud/internal/advice": {"cmd/cloud/internal/aws"},
	"cmd/cloud/internal/cfn":    {"cmd/cloud/internal/aws", "cmd/cloud/internal/advice", "internal/term", "internal/version"},

	"infra":           {"any"},
	"test":            {"any"},
	"internal/arrows": {},
}

// neverReach lists what a room may not reach, of ours or of others.
var neverReach = map[string][]string{
	"edge":             {"culvert/origin", "culvert/client", "culvert/internal/relay", "culvert/internal/seal"},
	"origin":           {"culvert/edge", "culvert/client"},
	"client":           {"culvert/edge", "culvert/origin"},
	"functions":        {"culvert/internal/relay", "github.com/coder/websocket"},
	"internal/wire":    {"github.com/"},
	"internal/netpoll": {"culvert/", "github.com/"},
}

// room is the longest entry of mayReach that path lies in.
func room(path string) string {
	best := ""
	for name := range mayReach {
		if (path == name || strings.HasPrefix(path, name+"/")) && len(name) > len(best) {
			best = name
		}
	}
	return best
}

// packages maps each package of ours to all that it depends on.
func packages(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{join .Deps " "}}`, module+"...").Output()
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
	for path, deps := range packages(t) {
		from := room(strings.TrimPrefix(path, module))
		if from == "" {
			t.Errorf("%s is no room yet: say in mayReach what it may reach", path)
			continue
		}
		for _, dep := range deps {
			name, ours := strings.CutPrefix(dep, module)
			to := room(name)
			if ours && to != from && !slices.Contains(mayReach[from], "any") && !slices.Contains(mayReach[from], to) {
				t.Errorf("%s reaches %s, which %s may not", path, dep, from)
			}
		}
	}
}

func TestRoomsThatStayApart(t *testing.T) {
	t.Parallel()
	for path, deps := range packages(t) {
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
