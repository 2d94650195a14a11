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
group_exists() { :; }
user_exists() { :; }
chown() { :; }
chmod() { :; }
mkdir() { :; }
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
	const command = "/usr/bin/culvert connect --link-file ../package/openwrt/culvert.config --state /var/run/culvert"
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

// A client of root's would be a way into the whole router.
func TestARouterRunsTheClientAsAUserWhoReadsTheLink(t *testing.T) {
	t.Parallel()
	const shown = `
procd_set_param() { [ "$1" = command ] || echo "$*"; }
procd_close_instance() { :; }
group_exists() { false; }
user_exists() { false; }
group_add() { echo "group_add $*"; }
user_add() { echo "user_add $*"; }
chown() { echo "chown $*"; }
chmod() { echo "chmod $*"; }
mkdir() { echo "mkdir $*"; }
set_link=../package/openwrt/culvert.config set_proxy=http://me:pw@proxy
`
	got, err := started(t, shown)
	for _, want := range []string{
		"group_add culvert 5222\nuser_add culvert 5222 5222\n", "chown culvert:culvert ../package/openwrt/culvert.config\nchmod 400 ../package/openwrt/culvert.config\n",
		"chown culvert:culvert /var/run/culvert\nchmod 700 /var/run/culvert\n", "user culvert\n", "env HTTPS_PROXY=http://me:pw@proxy\n",
	} {
		if err != nil || !strings.Contains(got, want) {
			t.Errorf("got %s and %v, want %q", got, err, want)
		}
	}
}

func TestARouterWithoutALinkSaysWhatToDo(t *testing.T) {
	t.Parallel()
	if got, err := started(t, "set_link=/none/link"); err == nil || !strings.Contains(got, "/none/link: write yours there") {
		t.Errorf("got %q and %v, want what to do", got, err)
	}
}
