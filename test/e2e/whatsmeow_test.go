package e2e

import (
	"context"
	"testing"

	"culvert/internal/whatsapp/whatsmeow"
)

// A client that works must notice nothing of the relay, while every carrier is
// cut before each of its messages.
func TestWhatsmeowTalksThroughTheRelay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, there := w.standIn()
	f := w.forward(w.origin(there).addr)
	n := w.client(1, f.addr()).ready()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	whatsmeow.Talk(ctx, t, n.sniffing(), s.Root(), func() { f.kill() })
}
