package main

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"culvert/client/front"
	"culvert/client/look"
	"culvert/internal/link"
)

// packing are the ways to compress certificates (RFC 8879, section 7.3).
var packing = []string{"zlib", "brotli", "zstd"}

// A server that we did not write compresses its certificate in each way that a look offers, for sockets and for pages.
func TestEachLookReadsTheCertificatesThatItOffersToRead(t *testing.T) {
	t.Parallel()
	for number, algorithm := range packing {
		s := newPacking(t, algorithm, "")
		for _, name := range look.Names() {
			d := &front.Dialer{Look: name, Roots: s.roots}
			want := 0
			for kind, visit := range map[string]func() error{
				"socket": func() error { return openOnce(t, d, s.front) }, "page": func() error { return getPage(t, d, s.front, "/") },
			} {
				if err := visit(); err != nil {
					t.Errorf("%s, a %s by %s: %v", name, kind, algorithm, err)
				}
				if offersPacking(t, name, kind, number+1) {
					want++
				}
			}
			if got := s.packed(want); got != want {
				t.Errorf("%s by %s: got %d certificates compressed, want %d", name, algorithm, got, want)
			}
		}
	}
}

// What takes too much memory to read, or cannot be read, ends the handshake.
func TestCertificatesThatTakeTooMuchToReadEndTheHandshake(t *testing.T) {
	t.Parallel()
	const tooMuch = "too much memory"
	for _, c := range []struct{ algorithm, lie, want string }{
		{"brotli", "long", tooMuch}, {"zlib", "long", tooMuch}, {"zstd", "window", tooMuch}, {"zstd", "second", tooMuch}, {"brotli", "empty", "decompress"},
	} {
		s := newPacking(t, c.algorithm, c.lie)
		for _, name := range look.Names() {
			number := map[string]int{"zlib": 1, "brotli": 2, "zstd": 3}[c.algorithm]
			if !offersPacking(t, name, "page", number) {
				continue
			}
			err := getPage(t, &front.Dialer{Look: name, Roots: s.roots}, s.front, "/")
			var failed *front.Error
			if !errors.As(err, &failed) || !strings.Contains(failed.Unwrap().Error(), c.want) {
				t.Errorf("%s by %s, %s: got %v, want %q", name, c.algorithm, c.lie, err, c.want)
			}
			if got := s.packed(1); got != 1 {
				t.Errorf("%s by %s, %s: got %d certificates compressed, want one", name, c.algorithm, c.lie, got)
			}
		}
	}
}

// offersPacking reports whether the ClientHello of a look has a way to compress certificates.
func offersPacking(t *testing.T, name, kind string, number int) bool {
	t.Helper()
	b, err := os.ReadFile("../../" + folder + "/" + name + ".json")
	must(t, err)
	d, err := look.ReadData(b)
	must(t, err)
	h, err := parseHello(map[string][]byte{"socket": d.Socket, "page": d.Page}[kind])
	must(t, err)
	const compressCertificate = 27
	body := h.extensions[compressCertificate]
	return len(body) > 0 && bytes.Contains(body[1:], []byte{0, byte(number)})
}

func openOnce(t *testing.T, d *front.Dialer, f link.Front) error {
	t.Helper()
	conn, _, err := front.Open(t.Context(), d, f, readPage)
	if err == nil {
		conn.Close()
	}
	return err
}

// packingServer is a process of packing.py.
type packingServer struct {
	openSSL
	algorithm string
	said      chan string
}

// packed is how many certificates were compressed since it was asked last. What the process says comes later than what it sends:
// packed waits for as many as are wanted.
func (s *packingServer) packed(want int) (count int) {
	patience := time.After(10 * time.Second)
	for count < want || len(s.said) > 0 {
		select {
		case line := <-s.said:
			if line == s.algorithm {
				count++
			}
		case <-patience:
			return count
		}
	}
	return count
}

func newPacking(t *testing.T, algorithm, lie string) *packingServer {
	t.Helper()
	library := os.Getenv("CULVERT_TLSLITE")
	if library == "" {
		t.Skip("CULVERT_TLSLITE is not set: .ci/looks sets it")
	}
	site, err := newSite(0) // for its certificate
	must(t, err)
	site.close()
	dir := t.TempDir()
	key, err := x509.MarshalPKCS8PrivateKey(site.cert.PrivateKey)
	must(t, err)
	cert, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	must(t, os.WriteFile(cert, certPEM(site.cert.Certificate[0]), 0o600))
	must(t, os.WriteFile(keyFile, keyPEM(key), 0o600))
	cmd := exec.Command("/usr/bin/python3", "packing.py", cert, keyFile, algorithm, lie)
	cmd.Env, cmd.Stderr = append(os.Environ(), "PYTHONPATH="+library, "PYTHONDONTWRITEBYTECODE=1"), os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	lines := bufio.NewScanner(out)
	lines.Scan()
	port, err := strconv.Atoi(lines.Text())
	must(t, err)
	s := &packingServer{algorithm: algorithm, said: make(chan string, 100)}
	go func() {
		for lines.Scan() {
			s.said <- strings.TrimSpace(lines.Text())
		}
	}()
	s.front, err = link.ParseFront(fmt.Sprintf("wss://%s:%d/socket;dial=127.0.0.1", siteName, port))
	must(t, err)
	s.roots = site.roots(t)
	return s
}
