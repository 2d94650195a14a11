package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// procd's words as far as the script uses them: each shows what it was told.
const procd = `
config_load() { :; }
config_get() { eval "$1=\${set_$3:-\$4}"; }
config_get_bool() { config_get "$@"; }
procd_open_instance() { command=; }
procd_set_param() { if [ "$1" = command ]; then shift; command="$*"; fi; }
procd_append_param() { shift; command="$command $*"; }
procd_close_instance() { echo "$command"; }
`

// started runs start_service of the router's script with those settings.
func started(t *testing.T, settings string) (string, error) {
	t.Helper()
	script, err := filepath.Abs("../package/openwrt/culvert.init")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("sh", "-c", procd+settings+"\n. "+script+"\nstart_service").CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func TestARouterStartsTheClientAsItsSettingsSay(t *testing.T) {
	t.Parallel()
	const command = "/usr/bin/culvert connect --link-file ../package/openwrt/culvert.config --state /tmp/culvert"
	const link = "set_link=../package/openwrt/culvert.config;"
	for settings, want := range map[string]string{
		link:                command + " --lan",
		link + "set_lan=0;": command,
		link + "set_options='--via none --look firefox'": command + " --lan --via none --look firefox",
	} {
		if got, err := started(t, settings); err != nil || got != want {
			t.Errorf("%s: got %q and %v, want %q", settings, got, err, want)
		}
	}
}

func TestARouterWithoutALinkSaysWhatToDo(t *testing.T) {
	t.Parallel()
	if got, err := started(t, "set_link=/none/link"); err == nil || !strings.Contains(got, "/none/link: write yours there") {
		t.Errorf("got %q and %v, want what to do", got, err)
	}
}
