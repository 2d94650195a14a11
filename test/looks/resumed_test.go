package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"culvert/client/front"
)

// earlyConf is of an nginx that takes data ahead of the handshake (0-RTT), and notes for whom.
const earlyConf = `user root; daemon off; pid %[1]s/pid; error_log stderr error;
events {}
http {
	log_format early '$server_protocol $ssl_session_reused $ssl_early_data $request_uri';
	access_log %[1]s/log early;
	server {
		listen 127.0.0.1:%[2]d ssl http2;
		ssl_certificate cert.pem; ssl_certificate_key key.pem;
		ssl_protocols TLSv1.2 TLSv1.3; ssl_early_data %[3]s;
		keepalive_timeout 1; # so that there is a second connection for pages
		root %[1]s/site; default_type text/html;
		location = / { add_header Cache-Control no-store; }
		location = /second { return 200 hi; }
		location = /socket { return 404; }
	}
}`

// earlyPage asks for sockets one after another, and for another page once the first connection has ended.
const earlyPage = `<!doctype html><title>Site</title><link rel="icon" href="data:,"><script>
let left = 3
function next() {
	if (left-- > 0) new WebSocket("wss://" + location.host + "/socket").onclose = () => setTimeout(next, 100)
	else setTimeout(() => fetch("/second"), 3000)
}
next()
</script>`

// A session is resumed as the browser resumes it, by the same fingerprint; a browser sends no request for a WebSocket ahead of the
// handshake where it might, and no page, so that neither is sent here.
func TestAResumedConnectionIsTheBrowsers(t *testing.T) {
	if os.Getenv("CULVERT_REAL") == "" {
		t.Skip("CULVERT_REAL is not set: it takes browsers, nginx and tshark")
	}
	t.Parallel()
	for _, b := range browsers {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			early := "on"
			if b.name == "firefox" { // which offers it by an extension that uTLS does not have
				early = "off"
			}
			s, err := newSite(0) // for its certificate and its port
			must(t, err)
			s.close()
			key, err := x509.MarshalPKCS8PrivateKey(s.cert.PrivateKey)
			must(t, err)
			log := filepath.Join(startNginx(t, s.port(), fmt.Sprintf(earlyConf, "%[1]s", s.port(), early), map[string][]byte{
				"site/index.html": []byte(earlyPage), "cert.pem": certPEM(s.cert.Certificate[0]), "key.pem": keyPEM(key),
			}), "log")
			wire := sniff(t, s.port())
			must(t, b.visit(t.Context(), s, 0, func(ctx context.Context) error { return quiet(ctx, log, 5) }))
			theirs := resumedOf(wire.read(t))
			noneIsEarly(t, log, 3)

			must(t, os.Truncate(log, 0))
			wire = sniff(t, s.port())
			d := &front.Dialer{Look: b.name, Roots: s.roots(t)}
			for range 2 {
				must(t, openOnce(t, d, linkTo(t, s).Fronts[0]))
				askForPage(t, d, s)
			}
			ours := resumedOf(wire.read(t))
			noneIsEarly(t, log, 2)
			for _, alpn := range []string{"h1", "h2"} {
				if got, want := ours[alpn], theirs[alpn]; len(want) != 1 || !slices.Equal(got, want) {
					t.Errorf("%s: got JA4 %v of what is resumed, want the browser's %v", alpn, got, want)
				}
			}
			t.Logf("resumed: %v", theirs)
		})
	}
}

// resumedOf are the fingerprints of ClientHellos that resume a session, by their first protocol.
func resumedOf(seen map[int][]*hello) map[string][]string {
	all := make(map[string][]string)
	for _, hellos := range seen {
		for _, h := range hellos {
			if ja4 := h.ja4(); slices.Contains(h.numbers, extensionPSK) && !slices.Contains(all[h.alpn()], ja4) {
				all[h.alpn()] = append(all[h.alpn()], ja4)
			}
		}
	}
	return all
}

// noneIsEarly wants nginx to have seen so many resumed connections at least, and no data ahead of a handshake.
func noneIsEarly(t *testing.T, log string, count int) {
	t.Helper()
	resumed := 0
	for _, line := range lines(t, log) {
		words := strings.Fields(line)
		if words[1] == "r" {
			resumed++
		}
		if words[2] == "1" {
			t.Errorf("got %q, want no early data", line)
		}
	}
	if resumed < count {
		t.Errorf("got %d resumed connections, want %d", resumed, count)
	}
}

// askForPage makes a connection for pages, which asks for one.
func askForPage(t *testing.T, d *front.Dialer, s *site) {
	t.Helper()
	if err := getPage(t, d, linkTo(t, s).Fronts[0], "/second"); err != nil {
		t.Error(err)
	}
	time.Sleep(100 * time.Millisecond) // tickets come beside the answer
}
