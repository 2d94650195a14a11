//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"net"
	"os"
	"path/filepath"

	"culvert/internal/whatsapp"
	"culvert/test/standin"
)

// Addresses that are WhatsApp's own, and here of the loopback interface.
const (
	chatIP  = "157.240.0.60"
	mediaIP = "157.240.0.61"
)

// startWhatsApp serves WhatsApp's stand-in where WhatsApp would be. What chat
// proves itself by goes to the file chat-root; media by a public authority.
func (w *world) startWhatsApp(ctx context.Context) error {
	s, err := standin.New()
	if err != nil {
		return err
	}
	for name, ip := range map[string]string{"g.whatsapp.net": chatIP, "g-fallback.whatsapp.net": chatIP,
		"whatsapp.net": mediaIP, whatsapp.MediaHost: mediaIP} {
		if err := w.resolve(name, ip); err != nil {
			return err
		}
	}
	for address, serve := range map[string]func(net.Listener) error{chatIP + ":5222": s.ServeChat, chatIP + ":443": s.ServeChat,
		chatIP + ":80": s.ServeChat, mediaIP + ":443": s.ServeMedia} {
		ln, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		go serve(ln)
	}
	d := tls.Dialer{Config: &tls.Config{ServerName: whatsapp.MediaHost, RootCAs: s.CAs()}}
	conn, err := d.DialContext(ctx, "tcp", mediaIP+":443")
	if err != nil {
		return err
	}
	defer conn.Close()
	chain := conn.(*tls.Conn).ConnectionState().VerifiedChains[0]
	if err := w.trust(chain[len(chain)-1]); err != nil {
		return err
	}
	root := s.Root()
	return os.WriteFile(filepath.Join(w.folder, "chat-root"), []byte(hex.EncodeToString(root[:])), 0o600)
}
