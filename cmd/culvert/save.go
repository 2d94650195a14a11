package main

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"culvert/internal/whatsapp"
)

// save writes what other programs need to use this relay to files of dir that
// the user alone may read: link, and of a stand-in chat-root and media-ca.
func (r *localRelay) save(ctx context.Context, dir string, out *console) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	files := map[string][]byte{"link": []byte(r.link.String() + "\n")}
	try := "culvert doctor --link-file " + quoted(filepath.Join(dir, "link"))
	if r.standIn != nil {
		ca, err := r.standInCA(ctx)
		if err != nil {
			return fmt.Errorf("save: %w", err)
		}
		root := r.standIn.Root()
		files["chat-root"], files["media-ca"] = []byte(hex.EncodeToString(root[:])+"\n"), ca
		try += fmt.Sprintf(" --chat-root $(cat %s) --media-ca %s", quoted(filepath.Join(dir, "chat-root")), quoted(filepath.Join(dir, "media-ca")))
	}
	for name, content := range files {
		if err := writeSecret(filepath.Join(dir, name), content); err != nil {
			return fmt.Errorf("save: %w", err)
		}
	}
	out.step(good, 0, "Link saved; it is as good as this process lives. To try it:")
	fmt.Fprintf(out, "%s\n", try)
	return nil
}

// quoted is a file's name as a shell takes it.
func quoted(name string) string {
	if !strings.ContainsAny(name, " \t\"'$&;()<>|*?\\`") {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

// writeSecret replaces a file, whatever its permissions were.
func writeSecret(name string, content []byte) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.WriteFile(name, content, 0o600)
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
