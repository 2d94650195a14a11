package whatsapp

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"culvert/test/standin"
	"culvert/test/standin/standintest"
)

// answering serves one connection with what answer does, over memory.
func answering(t *testing.T, answer func(net.Conn)) net.Conn {
	near, far := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer far.Close()
		answer(far)
	}()
	t.Cleanup(func() { near.Close(); <-done })
	return near
}

func TestWhatIsNotWhatsAppIsToldApart(t *testing.T) {
	t.Parallel()
	flight := make([]byte, 43)
	for name, c := range map[string]struct {
		answer func(net.Conn)
		want   error
	}{
		"closes at once":     {func(net.Conn) {}, ErrClosed},
		"closes after":       {func(c net.Conn) { io.ReadFull(c, flight) }, ErrClosed},
		"closes amid length": {func(c net.Conn) { io.ReadFull(c, make([]byte, 43)); c.Write([]byte{0}) }, ErrClosed},
		"closes amid frame":  {func(c net.Conn) { io.ReadFull(c, make([]byte, 43)); c.Write([]byte{0, 1, 0, 0x1a}) }, ErrClosed},
		"HTTP":               {say("HTTP/1.1 400 Bad Request\r\n\r\n"), ErrNotWhatsApp},
		"TLS alert":          {say("\x15\x03\x01\x00\x02\x02\x46"), ErrNotWhatsApp},
		"empty frame":        {say("\x00\x00\x00"), ErrNotWhatsApp},
		"huge frame":         {say("\x00\x10\x01"), ErrNotWhatsApp},
		"garbage frame":      {say("\x00\x00\x03abc"), ErrNotWhatsApp},
		"our own hello":      {func(c net.Conn) { b := make([]byte, 43); io.ReadFull(c, b); c.Write(b[4:]) }, ErrNotWhatsApp},
		"recorded hello":     {say(string(appendFrame(nil, hello2025(t)))), ErrNotWhatsApp},
	} {
		if _, err := Prove(t.Context(), answering(t, c.answer), Root()); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

// say reads a first flight and answers with s.
func say(s string) func(net.Conn) {
	return func(c net.Conn) {
		io.ReadFull(c, make([]byte, 43))
		io.WriteString(c, s)
		io.Copy(io.Discard, c)
	}
}

func TestSilenceEndsWithTheContext(t *testing.T) {
	t.Parallel()
	silent := func(c net.Conn) { io.Copy(io.Discard, c) }
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		ctx  context.Context
		want error
	}{{short, ErrTimeout}, {gone, context.Canceled}} {
		if _, err := Prove(c.ctx, answering(t, silent), Root()); !errors.Is(err, c.want) {
			t.Errorf("chat: got %v, want %v", err, c.want)
		}
		if _, err := ProveMedia(c.ctx, answering(t, silent), MediaHost, nil, 0); !errors.Is(err, c.want) {
			t.Errorf("media: got %v, want %v", err, c.want)
		}
	}
}

func TestTheFirstFlightIsTheOneOfTheFacts(t *testing.T) {
	t.Parallel()
	got := proverOf(t, unhex(t, key2025), prologue).firstFlight()
	want := "5741060300002412220a208537e1daadfb8e9ff8491896f5733008bad4967c2ba97670f69cf3053762ea4d"
	if hex.EncodeToString(got) != want {
		t.Errorf("got %x, want %s", got, want)
	}
}

func TestWhatIsNotMediaIsToldApart(t *testing.T) {
	t.Parallel()
	s := standintest.Serve(t)
	overTLS := func(answer string) func(net.Conn) {
		return func(c net.Conn) {
			secure := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{s.Certificate()}})
			go io.Copy(io.Discard, secure)
			if secure.Handshake() == nil && answer != "" {
				io.WriteString(secure, answer)
			}
			secure.Close()
		}
	}
	for name, c := range map[string]struct {
		answer func(net.Conn)
		want   error
	}{
		"closes at once":   {func(net.Conn) {}, ErrClosed},
		"no TLS":           {func(c net.Conn) { go io.Copy(io.Discard, c); io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n") }, ErrNotWhatsApp},
		"no HTTP":          {overTLS("220 mail\r\nready\r\n"), ErrNotWhatsApp},
		"closes after TLS": {overTLS(""), ErrClosed},
	} {
		if _, err := ProveMedia(t.Context(), answering(t, c.answer), MediaHost, s.CAs(), 0); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	early := overTLS("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 1000000\r\n\r\n")
	if m, err := ProveMedia(t.Context(), answering(t, early), MediaHost, s.CAs(), 0); err != nil || m.Status != http.StatusNotFound {
		t.Errorf("answer without its body: got %+v and %v, want status 404", m, err)
	}
}

func TestAProofIsNoLoginAttempt(t *testing.T) {
	t.Parallel()
	s := standintest.Serve(t)
	conn := &standintest.Counting{Conn: standintest.Dial(t, s.Chat)}
	if _, err := Prove(t.Context(), conn, s.Root()); err != nil {
		t.Fatal(err)
	}
	if conn.Sent != 43 {
		t.Errorf("got %d bytes sent, want the 43 of the first flight", conn.Sent)
	}
}

// All signatures hold here; the certificates are not ones for this server.
func TestCertificatesThatDoNotBelongTogetherAreRefused(t *testing.T) {
	t.Parallel()
	root, inter, other := newKey(t), newKey(t), newKey(t)
	static := [32]byte(other.PublicKey().Bytes())
	now := time.Now()
	certs := func(leafIssuer, interSerial, interIssuer uint64, key []byte) []byte {
		i := standin.Certificate{Serial: interSerial, Issuer: interIssuer, Key: inter.PublicKey().Bytes(), From: now, To: now.Add(time.Hour)}
		l := standin.Certificate{Serial: 9, Issuer: leafIssuer, Key: key, From: now, To: now.Add(time.Hour)}
		return standin.Chain(l.Sign(inter), i.Sign(root))
	}
	for name, c := range map[string]struct {
		chain []byte
		want  error
	}{
		"good":                 {certs(1, 1, 0, static[:]), nil},
		"another root's":       {certs(1, 1, 7, static[:]), ErrSignature},
		"another intermediate": {certs(2, 1, 0, static[:]), ErrSignature},
		"another server":       {certs(1, 1, 0, pinnedRoot[:]), ErrSignature},
		"short key":            {certs(1, 1, 0, static[:31]), ErrSignature},
		"no key":               {certs(1, 1, 0, nil), ErrSignature},
	} {
		if _, err := verifyChain(c.chain, [32]byte(root.PublicKey().Bytes()), static); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

func newKey(t *testing.T) *ecdh.PrivateKey {
	t.Helper()
	k, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSignaturesOfEitherSignVerify(t *testing.T) {
	t.Parallel()
	msg, signs := []byte("certificate"), make(map[byte]int)
	for range 24 {
		key := newKey(t)
		sig := standin.Sign(key, msg)
		signs[sig[63]&0x80]++
		if !verifyXEdDSA([32]byte(key.PublicKey().Bytes()), msg, sig) {
			t.Fatalf("got a signature refused, want it verified (sign bit %x)", sig[63]&0x80)
		}
		sig[63] ^= 0x80
		if verifyXEdDSA([32]byte(key.PublicKey().Bytes()), msg, sig) {
			t.Error("got the other sign verified, want it refused")
		}
	}
	if len(signs) != 2 {
		t.Errorf("got sign bits %v, want both", signs)
	}
}
