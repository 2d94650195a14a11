package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// packaged is a file of the packages.
func packaged(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../package", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// setting is what a unit says of a name; empty if it says nothing.
func setting(unit, name string) string {
	found := regexp.MustCompile(`(?m)^` + name + `=(.*)$`).FindStringSubmatch(unit)
	if found == nil {
		return ""
	}
	return found[1]
}

// A panic of Go's ends a program with code 2, as a wrong setting does: a service that is not started again after
// that is gone until somebody looks.
func TestServicesAreStartedAgainWhateverEndsThem(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"culvert", "culvert-origin", "culvert-edge"} {
		unit := packaged(t, "systemd/"+name+".service")
		if got := setting(unit, "Restart"); got != "always" {
			t.Errorf("%s: got Restart=%s, want always", name, got)
		}
		if got := setting(unit, "RestartPreventExitStatus"); got != "" {
			t.Errorf("%s: got no restart after code %s, want one after each", name, got)
		}
	}
}

// Before systemd 250 a unit has no %d; Debian 11 has 247, Ubuntu 22.04 has 249.
func TestUnitsAskForNothingThatOldSystemsLack(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"culvert", "culvert-origin", "culvert-edge"} {
		if unit := packaged(t, "systemd/"+name+".service"); strings.Contains(unit, "%d") {
			t.Errorf("%s: got %%d, want ${CREDENTIALS_DIRECTORY}", name)
		}
	}
}

// Each service can write where it keeps what it must not lose, and nowhere else; the client's user is not the
// servers', which can read the servers' keys.
func TestServicesHaveFoldersOfTheirOwn(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][2]string{
		"culvert":        {"culvert-client", "culvert-client"},
		"culvert-origin": {"culvert", "culvert"},
		"culvert-edge":   {"culvert", "culvert-edge"},
	} {
		unit := packaged(t, "systemd/"+name+".service")
		got := [2]string{setting(unit, "User"), setting(unit, "StateDirectory")}
		if got != want {
			t.Errorf("%s: got user and folder %q, want %q", name, got, want)
		}
		if got := setting(unit, "StateDirectoryMode"); got != "0700" {
			t.Errorf("%s: got a folder of mode %q, want 0700", name, got)
		}
		if made, err := prepared(name); err != nil || !strings.HasSuffix(made, "/var/lib/"+want[1]) {
			t.Errorf("%s: OpenRC makes %q (%v), want /var/lib/%s", name, made, err, want[1])
		}
	}
}

// Where a server keeps its certificate is below the folder that its service may write to.
func TestAnEdgeKeepsItsCertificateApartFromTheOrigins(t *testing.T) {
	t.Parallel()
	const want = "/var/lib/culvert-edge/acme"
	if got := setting(packaged(t, "systemd/culvert-edge.service"), "Environment"); got != "CULVERT_ACME_FOLDER="+want {
		t.Errorf("got %q, want %q", got, want)
	}
	if out, err := openrc("culvert-edge", "printenv CULVERT_ACME_FOLDER"); err != nil || out != want+"\n" {
		t.Errorf("OpenRC: got %s and %v, want %s", out, err, want)
	}
}

// A client of root's would be a way into the whole machine.
func TestOpenRCRunsTheClientAsAUserWhoReadsTheLink(t *testing.T) {
	t.Parallel()
	out, err := openrc("culvert", "start_pre; echo $command_user")
	for _, want := range []string{"--owner culvert-client:culvert-client --mode 0400 /etc/culvert/link\n", "--owner culvert-client:culvert-client --mode 0700 /var/lib/culvert-client\nculvert-client:culvert-client\n"} {
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("got %s and %v, want %q", out, err, want)
		}
	}
}

// prepared is what a script of OpenRC's makes before it starts its service.
func prepared(name string) (string, error) {
	out, err := openrc(name, "start_pre")
	return strings.TrimSpace(out), err
}

// openrc runs a command after it has read a script, where a test says that there is no empty file.
func openrc(name, command string) (string, error) {
	const words = "id() { :; }\ncheckpath() { echo \"$*\"; }\n[() { return 1; }\n"
	out, err := exec.Command("bash", "-c", words+". ../package/openrc/"+name+"\n"+command).CombinedOutput()
	return string(out), err
}
