package main

import (
	"encoding/json"
	"strings"
	"testing"

	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/test/local/localtest"
	"culvert/test/screen"
)

func TestStatusAsksTheClientsThatRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	code, stdout, stderr := culvert(t, "status", "--state", dir)
	if code != 1 || stdout != "" || !strings.Contains(stderr, "no client of yours runs here") {
		t.Errorf("got %d, %q, %q; want to be told that there is none", code, stdout, stderr)
	}
	l := &link.Link{Keys: seal.NewMaster().Client(1), Fronts: []link.Front{localtest.DeadFront(t)}}
	out, stop := screen.Start(t, program.Run, "connect", "--link-file", file(t, "link", l.String(), 0o600),
		"--chat", "127.0.0.1:0", "--media", "127.0.0.1:0", "--state", dir)
	out.Await(t, "Not connected")
	var got clients
	code, stdout, _ = culvert(t, "status", "--state", dir, "--json")
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != 1 || got.OK || len(got.Clients) != 1 || got.Version != 1 {
		t.Fatalf("got %d, %v, %s; want one client that is not connected", code, err, stdout)
	}
	if c := got.Clients[0]; c.Connected || c.Front != 1 || c.Fronts != 1 || c.Setting.Host != "127.0.0.1" || c.Setting.Chat == 0 {
		t.Errorf("got %+v", c)
	}
	code, stdout, _ = culvert(t, "status", "--state", dir, "--language", "ru")
	if code != 1 || !strings.Contains(stdout, "✗ Не подключено") || !strings.Contains(stdout, "вход 1 из 1") {
		t.Errorf("got %d, %q; want it in Russian", code, stdout)
	}
	if stop() != 0 {
		t.Error("the client did not end well")
	}
	if code, stdout, _ = culvert(t, "status", "--state", dir, "--json"); code != 1 || !strings.Contains(stdout, `"clients": []`) {
		t.Errorf("got %d, %s; want an empty list after its end", code, stdout)
	}
	if code, _, stderr := culvert(t, "status", "--state", "none"); code != 2 || !strings.Contains(stderr, "--state") {
		t.Errorf("got %d, %q; want a refusal", code, stderr)
	}
}
