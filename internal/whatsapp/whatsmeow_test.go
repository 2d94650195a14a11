package whatsapp_test

import (
	"context"
	"net"
	"testing"
	"time"

	"culvert/internal/whatsapp/whatsmeow"
	"culvert/test/standin"
)

// The stand-in must look like WhatsApp to a client that shares no code with it.
func TestWhatsmeowTalksToTheStandIn(t *testing.T) {
	t.Parallel()
	s, err := standin.New()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.ServeChat(l)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	whatsmeow.Talk(ctx, t, l.Addr().String(), s.Root(), func() {})
}
