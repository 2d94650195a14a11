package main

import (
	"os"
	"strings"
	"testing"
)

// gatewaySettings are what "local gateway" needs.
func gatewaySettings(t *testing.T) {
	t.Helper()
	secret := t.TempDir() + "/gate"
	if err := os.WriteFile(secret, []byte(strings.Repeat("0123456789abcdef", 4)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CULVERT_LISTEN", "127.0.0.1:0")
	t.Setenv("CULVERT_ORIGIN", "http://127.0.0.1:1")
	t.Setenv("CULVERT_GATE_FILE", secret)
	t.Setenv("AWS_ACCESS_KEY_ID", "local")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "local")
}

func TestTheGatewayServesUntilItIsToldToStopAndShowsTheBill(t *testing.T) {
	gatewaySettings(t)
	out, stop := start(t, "gateway")
	out.Await(t, "msg=ready")
	if code := stop(); code != 0 {
		t.Errorf("got code %d, want 0", code)
	}
	out.Await(t, "AWS would have charged")
}

func TestTheGatewaysWrongSettingsAreSaidAtOnce(t *testing.T) {
	t.Setenv("CULVERT_LISTEN", "8080")
	t.Setenv("CULVERT_TLS_KEY", "/key")
	t.Setenv("CULVERT_DRAIN", "0s")
	t.Setenv("CULVERT_MAX_SOCKETS", "0")
	t.Setenv("CULVERT_GATE_FILE", "/none")
	code, _, stderr := command(t, "gateway")
	for _, name := range []string{"CULVERT_LISTEN", "CULVERT_TLS_CERT", "CULVERT_ORIGIN", "CULVERT_DRAIN", "CULVERT_MAX_SOCKETS",
		"CULVERT_GATE_FILE", "AWS_ACCESS_KEY_ID"} {
		if code != 2 || !strings.Contains(stderr, name+": ") {
			t.Errorf("got %d and %q, want 2 and %s named", code, stderr, name)
		}
	}
}

func TestTheGatewayWithoutFunctionsSaysWhoBuildsThem(t *testing.T) {
	gatewaySettings(t)
	t.Setenv("CULVERT_FUNCTIONS", t.TempDir())
	if code, _, stderr := command(t, "gateway"); code != 1 || !strings.Contains(stderr, "make functions") {
		t.Errorf("got %d and %q, want 1 and how to build them", code, stderr)
	}
}

func TestTheGatewaysHelpNamesEverySetting(t *testing.T) {
	t.Parallel()
	code, stdout, _ := command(t, "gateway", "--help")
	for _, name := range []string{"LISTEN", "TLS_CERT", "TLS_KEY", "ORIGIN", "ADMIN_LISTEN", "DRAIN", "MAX_SOCKETS", "GATE_FILE", "FUNCTIONS", "DAY"} {
		if code != 0 || !strings.Contains(stdout, "\n  CULVERT_"+name+"\n") {
			t.Errorf("got %d and %q, want %s in it", code, stdout, name)
		}
	}
}
