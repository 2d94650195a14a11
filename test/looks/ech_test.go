package main

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/net/dns/dnsmessage"

	"culvert/client/front"
	"culvert/internal/link"
)

// publicName is what the network reads in place of the site's name; it is nobody's (RFC 2606).
const publicName = "public.site.test"

// Chromium is told of an ECH configuration by a resolver over HTTPS, and the client by its link: what the network sees of their
// connections is alike, for pages and for sockets, in fingerprint, length and the length of what is encrypted: for a name of this
// length, as docs/CLIENT.md tells.
func TestAnEncryptedHelloIsTheBrowsers(t *testing.T) {
	if os.Getenv("CULVERT_REAL") == "" {
		t.Skip("CULVERT_REAL is not set: it takes Chromium")
	}
	s := newTestSite(t)
	key, list := newECH(t)
	s.config.EncryptedClientHelloKeys = []tls.EncryptedClientHelloKey{key}
	resolver := newResolver(t, s, list)
	pages, sockets, err := resolving(browsers[0], resolver).collectAt(t.Context(), s, connections, 0)
	must(t, err)

	f, err := link.ParseFront(fmt.Sprintf("wss://%s:%d/socket;dial=127.0.0.1;ech=%s", siteName, s.port(), base64.RawURLEncoding.EncodeToString(list)))
	must(t, err)
	d := &front.Dialer{Look: browsers[0].name, Roots: s.roots(t)}
	must(t, openOnce(t, d, f))
	compareEncrypted(t, <-s.visitors, sockets[0])
	getPage(t, d, f, "/") // the answer is the site's, and does not matter
	compareEncrypted(t, <-s.visitors, pages[0])
}

// compareEncrypted wants the network to see the same of two visitors.
func compareEncrypted(t *testing.T, ours, theirs visitor) {
	t.Helper()
	var seen []string
	for _, v := range []visitor{ours, theirs} {
		h, err := parseHello(v.hello)
		must(t, err)
		name, body := string(h.extensions[extensionName]), h.extensions[extensionECH]
		payload := body[8+binary.BigEndian.Uint16(body[6:]):]
		numbers := h.order()
		slices.Sort(numbers)
		seen = append(seen, fmt.Sprintf("JA4 %s of %d bytes with %d of the public name: %v, %d encrypted; extensions %v",
			h.ja4(), len(v.hello), len(name), strings.HasSuffix(name, publicName), binary.BigEndian.Uint16(payload), numbers))
	}
	if seen[0] != seen[1] || !strings.Contains(seen[0], ": true") {
		t.Errorf("got\n%s\nwant the browser's\n%s", seen[0], seen[1])
	}
	t.Log(seen[0])
}

// newECH is a server's key, and its configuration as links and records have it (RFC 9849, section 4).
func newECH(t *testing.T) (key tls.EncryptedClientHelloKey, list []byte) {
	t.Helper()
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	must(t, err)
	b := cryptobyte.NewBuilder(nil)
	b.AddUint16(extensionECH)
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		b.AddBytes([]byte{7, 0, 0x20}) // X25519
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(private.PublicKey().Bytes()) })
		b.AddBytes([]byte{0, 4, 0, 1, 0, 1, 0}) // HKDF-SHA256, AES-128-GCM; no longest name
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(publicName)) })
		b.AddUint16(0)
	})
	config := b.BytesOrPanic()
	return tls.EncryptedClientHelloKey{Config: config, PrivateKey: private.Bytes(), SendAsRetry: true}, append([]byte{0, byte(len(config))}, config...)
}

// resolving is a browser that asks a resolver over HTTPS alone.
func resolving(b *browser, resolver string) *browser {
	it := *b
	it.prepare = func(profile string, _ *site, _ int) error {
		state := fmt.Sprintf(`{"dns_over_https":{"mode":"secure","templates":"%s"}}`, resolver)
		return os.WriteFile(filepath.Join(profile, "Local State"), []byte(state), 0o600)
	}
	it.args = func(profile, url string, proxy int) []string {
		return slices.DeleteFunc(b.args(profile, url, proxy), func(s string) bool { return strings.HasPrefix(s, "--host-resolver-rules=") })
	}
	return &it
}

// newResolver answers that the site is on this machine, and by what its name is encrypted (RFC 8484).
func newResolver(t *testing.T, s *site, list []byte) (template string) {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{s.cert}, NextProtos: []string{"http/1.1"}})
	must(t, err)
	server := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		question, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
		if r.Method == http.MethodGet {
			question, err = base64.RawURLEncoding.DecodeString(r.URL.Query().Get("dns"))
		}
		if answer := answerTo(question, list); err == nil && answer != nil {
			w.Header().Set("Content-Type", "application/dns-message")
			w.Write(answer)
		}
	})}
	go server.Serve(ln)
	t.Cleanup(func() { server.Close() })
	return fmt.Sprintf("https://%s/dns-query", ln.Addr())
}

// typeHTTPS is the type of records that tell of a server (RFC 9460, section 9).
const typeHTTPS = 65

// answerTo is a resolver's answer; nil: the question is none.
func answerTo(question, list []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(question) != nil || len(m.Questions) != 1 {
		return nil
	}
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	q := m.Questions[0]
	head := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: uint32(time.Hour / time.Second)}
	switch q.Type {
	case dnsmessage.TypeA:
		m.Answers = []dnsmessage.Resource{{Header: head, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}}}
	case typeHTTPS:
		if strings.HasSuffix(q.Name.String(), siteName+".") {
			m.Answers = []dnsmessage.Resource{{Header: head, Body: &dnsmessage.UnknownResource{Type: typeHTTPS, Data: serviceRecord(list)}}}
		}
	}
	answer, _ := m.Pack()
	return answer
}

// serviceRecord says that the site speaks HTTP/2, and by what its name is encrypted (RFC 9460, section 2.2; RFC 9848).
func serviceRecord(list []byte) []byte {
	b := cryptobyte.NewBuilder([]byte{0, 1})
	for _, label := range append(strings.Split(siteName, "."), "") {
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(label)) })
	}
	for _, p := range []struct {
		number uint16
		value  string
	}{{1, "\x02h2\x08http/1.1"}, {5, string(list)}} {
		b.AddUint16(p.number)
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(p.value)) })
	}
	return b.BytesOrPanic()
}
