package main

import (
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"culvert/internal/term"
	"culvert/internal/whatsapp"
)

// trust says whom to take for WhatsApp.
type trust struct {
	root [32]byte       // who certifies chat servers
	cas  *x509.CertPool // who certifies media servers; nil: the system's
}

func genuine() trust { return trust{root: whatsapp.Root()} }

// readTrust reads the flags that replace WhatsApp's keys. Empty ones do not.
func readTrust(chatRoot, mediaCA string) (trust, error) {
	t := genuine()
	if chatRoot != "" {
		b, err := hex.DecodeString(strings.TrimSpace(chatRoot))
		if err != nil || len(b) != len(t.root) {
			return t, errors.New("--chat-root is 64 hexadecimal digits")
		}
		t.root = [32]byte(b)
	}
	if mediaCA == "" {
		return t, nil
	}
	pem, err := term.ReadSmall(mediaCA)
	if err != nil {
		return t, fmt.Errorf("read media CA: %w", err)
	}
	t.cas = x509.NewCertPool()
	if !t.cas.AppendCertsFromPEM(pem) {
		return t, errors.New("--media-ca is a PEM file with a certificate, and this one has none")
	}
	return t, nil
}
