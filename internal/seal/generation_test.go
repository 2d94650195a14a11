package seal

import (
	"testing"

	"culvert/internal/wire"
)

// Links of an older secret open tunnels, in full and resumed, until it is
// given up; whoever has neither opens none.
func TestLinksOfOlderSecretsOpenTunnels(t *testing.T) {
	t.Parallel()
	newest, older := NewMaster(), NewMaster()
	server := oldServer(newest, NewMaster(), older)
	for name, m := range map[string]Master{"newest": newest, "oldest": older} {
		client := NewClient(m.Client(7), atNoon)
		for i, how := range []byte{openFull, openResumed} {
			id := wire.TunnelID(i + 1)
			open, pending, err := client.Open(id, chat, nil)
			if err != nil {
				t.Fatal(err)
			}
			wantKind(t, open, how)
			opened, err := server.Accept(id, 7, open)
			if err != nil {
				t.Fatalf("%s, kind %d: %v", name, how, err)
			}
			if _, err := pending.Finish(opened.Accept); err != nil {
				t.Errorf("%s, kind %d: got %v, want the origin proved", name, how, err)
			}
		}
	}
	stranger := NewClient(NewMaster().Client(7), atNoon)
	open, _, _ := stranger.Open(tunnel, chat, nil)
	if _, err := server.Accept(tunnel, 7, open); err != ErrHandshake {
		t.Errorf("a stranger: got %v, want %v", err, ErrHandshake)
	}
}
