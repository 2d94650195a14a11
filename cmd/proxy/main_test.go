package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"culvert/internal/serve"
)

// load is the settings of an environment.
func load(t *testing.T, env map[string]string) (*config, error) {
	t.Helper()
	for name, value := range env {
		t.Setenv(name, value)
	}
	c := new(config)
	return c, serve.Load(program, c, nil, io.Discard)
}

func TestItListensWhereMetasProxyDoes(t *testing.T) {
	c, err := load(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, a := range c.Listen {
		all = append(all, string(a))
	}
	if got := strings.Join(all, " "); got != ":80 :443 :5222 :587 :7777" || c.Stats != serve.Off || len(c.Behind) > 0 {
		t.Errorf("got %s, %s and %v, want the app's ports, and statistics for nobody", got, c.Stats, c.Behind)
	}
}

func TestWrongSettingsAreNamed(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return name
	}
	short, open := write("short", "1234\n", 0o600), write("open", "a long password\n", 0o644)
	for want, env := range map[string]map[string]string{
		"CULVERT_PROXY_LISTEN":             {"CULVERT_PROXY_LISTEN": ":443,5222"},
		"CULVERT_PROXY_BEHIND":             {"CULVERT_PROXY_BEHIND": ":99999"},
		"the port of CULVERT_PROXY_LISTEN": {"CULVERT_PROXY_LISTEN": ":8081,127.0.0.1:8081"},
		"CULVERT_PROXY_BEHIND: has the":    {"CULVERT_PROXY_BEHIND": ":443"},
		"CULVERT_PROXY_TELL":               {"CULVERT_PROXY_TELL": "3"},
		"CULVERT_PROXY_CONNECTIONS":        {"CULVERT_PROXY_CONNECTIONS": "0"},
		"CULVERT_STATS_PASSWORD_FILE: is ": {"CULVERT_STATS_LISTEN": ":8199"},
		"fewer than 8 characters":          {"CULVERT_STATS_LISTEN": ":8199", "CULVERT_STATS_PASSWORD_FILE": short},
		"others can read":                  {"CULVERT_STATS_LISTEN": ":8199", "CULVERT_STATS_PASSWORD_FILE": open},
	} {
		t.Run(want, func(t *testing.T) {
			if _, err := load(t, env); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
}

func TestAPortThatIsTakenOpensNone(t *testing.T) {
	c, err := load(t, map[string]string{"CULVERT_PROXY_LISTEN": "127.0.0.1:0,192.0.2.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	if all, err := c.open(t.Context()); err == nil || len(all) != 1 || all[0].Close() == nil {
		t.Errorf("got %v, want the first one closed again", err)
	}
}
