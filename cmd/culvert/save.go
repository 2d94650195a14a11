package main

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"

	"culvert/internal/term"
	"culvert/internal/whatsapp"
)

// save writes what other programs need to use this relay to files of dir that
// the user alone may read: link, and of a stand-in chat-root and media-ca.
func (r *localRelay) save(ctx context.Context, dir string, out *term.Console) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	files := map[string][]byte{"link": []byte(r.link.String() + "\n")}
	try := "culvert doctor --link-file " + term.Quoted(filepath.Join(dir, "link"))
	if r.standIn != nil {
		ca, err := r.standInCA(ctx)
		if err != nil {
			return fmt.Errorf("save: %w", err)
		}
		root := r.standIn.Root()
		files["chat-root"], files["media-ca"] = []byte(hex.EncodeToString(root[:])+"\n"), ca
		try += fmt.Sprintf(" --chat-root $(cat %s) --media-ca %s", term.Quoted(filepath.Join(dir, "chat-root")), term.Quoted(filepath.Join(dir, "media-ca")))
	}
	for name, content := range files {
		if err := term.WritePrivate(filepath.Join(dir, name), content); err != nil {
			return fmt.Errorf("save: %w", err)
		}
	}
	out.Step(term.Good, 0, "Link saved; it is as good as this process lives. To try it:")
	fmt.Fprintf(out, "%s\n", try)
	return nil
}

// standInCA asks the stand-in's media server for its authority's certificate,
// as PEM.
func (r *localRelay) standInCA(ctx context.Context) ([]byte, error) {
	d := tls.Dialer{Config: &tls.Config{ServerName: whatsapp.MediaHost, RootCAs: r.trust.cas}}
	conn, err := d.DialContext(ctx, "tcp", r.upstream.Media)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	chains := conn.(*tls.Conn).ConnectionState().VerifiedChains
	chain := chains[0] // there is one when DialContext succeeds
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: chain[len(chain)-1].Raw}), nil
}
