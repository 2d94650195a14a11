package main

import (
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/test/app"
	"culvert/test/local/localtest"
	"culvert/test/screen"
)

// start runs the program until stop is called, which returns its exit code.
func start(t *testing.T, args ...string) (out *screen.Screen, stop func() int) {
	t.Helper()
	return screen.Start(t, program.Run, args...)
}

var portsIn = regexp.MustCompile(`chat port (\d+), media port (\d+)`)

func TestConnectCarriesTheApp(t *testing.T) {
	t.Parallel()
	r := localtest.Open(t)
	name := file(t, "link", r.Link.String()+"\n", 0o600)
	out, stop := start(t, "connect", "--link-file", name, "--chat", "127.0.0.1:0", "--media", "127.0.0.1:0", "--qr")
	text := out.Await(t, "Connected by front 1")
	ports := portsIn.FindStringSubmatch(text)
	if ports == nil || !strings.Contains(text, "https://wa.me/proxy?host=127.0.0.1&chatPort="+ports[1]+"&mediaPort="+ports[2]) {
		t.Fatalf("got %s, want ports and a link with them", text)
	}
	if !strings.Contains(text, "█") || !strings.Contains(text, "--lan") {
		t.Errorf("got %s, want a QR code, and how to let phones in", text)
	}
	for _, port := range ports[1:] { // every port serves everything
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := app.Exchange(t.Context(), conn, r.Trust.Root, 3); err != nil {
			t.Errorf("got %v, want messages answered", err)
		}
	}
	if code := stop(); code != 0 {
		t.Errorf("got code %d after an interruption, want 0", code)
	}
}

func TestAHostThatTheAppCannotTakeIsRefused(t *testing.T) {
	t.Parallel()
	r := file(t, "link", (&link.Link{Keys: seal.NewMaster().Client(1), Fronts: []link.Front{localtest.DeadFront(t)}}).String(), 0o600)
	code, _, stderr := culvert(t, "connect", "--link-file", filepath.Clean(r), "--chat", "127.0.0.1:0", "--media", "127.0.0.1:0", "--host", "fd00::1")
	if code != 2 || !strings.Contains(stderr, "IPv6") {
		t.Errorf("got %d, %q, want a refusal of IPv6", code, stderr)
	}
}
