package fronting

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"culvert/internal/whatsapp"
	"culvert/test/ports"
	"culvert/test/standin"
)

// edge starts bin/edge in front of the origin, with TLS.
func (w *world) edge() (address, pin string) {
	w.Helper()
	c := &cdn{world: w}
	c.makeCertificate()
	address = ports.Loopback()
	p := start(w, []string{"CULVERT_LISTEN=" + address, "CULVERT_TLS_CERT=" + c.pair, "CULVERT_TLS_KEY=" + c.pair,
		"CULVERT_ORIGIN=http://" + w.origin, "CULVERT_ADMIN_LISTEN=off", "CULVERT_DRAIN=1s"}, filepath.Join(bin, "edge"))
	p.up(address)
	return address, c.pin
}

// throughEdge is a client that reaches the origin by bin/edge.
func (w *world) throughEdge() *near {
	w.Helper()
	address, pin := w.edge()
	return w.connect(w.link(pin, "wss://"+address+"/;sni=none"))
}

func TestCurlMovesMediaThroughTheMediaPort(t *testing.T) {
	t.Parallel()
	curl := need(t, "curl")
	w := newWorld(t)
	n := w.throughEdge()
	const size = 16 << 20
	h := sha256.New()
	io.Copy(h, standin.Pattern(size))
	sum := hex.EncodeToString(h.Sum(nil))
	for _, http := range []string{"--http1.1", "--http2"} {
		common := []string{http, "--silent", "--show-error", "--fail", "--noproxy", "*", "--max-time", "50", "--cacert", w.mediaCA,
			"--connect-to", whatsapp.MediaHost + ":443:" + n.media}
		file := filepath.Join(w.TempDir(), "media")
		_, err := output(curl, append(common, "--output", file, fmt.Sprintf("https://%s/media/%d", whatsapp.MediaHost, size))...)
		check(t, http+" download", err)
		check(t, http+" download", pattern(file, size))
		out, err := output(curl, append(common, "--upload-file", file, "https://"+whatsapp.MediaHost+"/up")...)
		check(t, http+" upload", err)
		var got standin.Uploaded
		json.Unmarshal([]byte(out), &got)
		if got.Bytes != size || got.SHA256 != sum {
			t.Errorf("%s upload: got %q, want %d bytes with hash %s", http, out, size, sum)
		}
	}
}

func pattern(file string, size int64) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return standin.CheckPattern(f, size)
}

func TestOpenSSLSeesWhatsAppsOwnCertificateAtTheMediaPort(t *testing.T) {
	t.Parallel()
	openssl := need(t, "openssl")
	w := newWorld(t)
	n := w.throughEdge()
	for name, c := range map[string]struct {
		args []string
		ok   bool
	}{
		"TLS 1.3":              {[]string{"-tls1_3", "-servername", whatsapp.MediaHost}, true},
		"TLS 1.2":              {[]string{"-tls1_2", "-servername", whatsapp.MediaHost}, true},
		"another media host":   {[]string{"-servername", "media-fra3-1.cdn.whatsapp.net"}, true},
		"the chat port":        {[]string{"-servername", whatsapp.MediaHost, "-connect", n.chat}, true},
		"a name that is not":   {[]string{"-servername", "example.org"}, false},
		"no name: chat in TLS": {[]string{"-noservername"}, false},
	} {
		args := append([]string{"s_client", "-CAfile", w.mediaCA, "-verify_return_error", "-verify_hostname", whatsapp.MediaHost, "-connect", n.media}, c.args...)
		out, err := output(openssl, args...)
		if ok := err == nil && strings.Contains(out, "Verify return code: 0 (ok)"); ok != c.ok {
			t.Errorf("%s: got WhatsApp's certificate: %v, want %v (%v)\n%s", name, ok, c.ok, err, out)
		}
	}
}

// answer is what curl sees.
type answer struct{ status, body, headers string }

func ask(t testing.TB, args ...string) answer {
	t.Helper()
	headers := filepath.Join(t.TempDir(), "headers")
	out, err := output(need(t, "curl"), append([]string{"--silent", "--show-error", "--http1.1", "--noproxy", "*", "--insecure", "--max-time", "20",
		"--dump-header", headers, "--write-out", "\n%{http_code}"}, args...)...)
	check(t, strings.Join(args, " "), err)
	at := strings.LastIndex(out, "\n")
	b, err := os.ReadFile(headers)
	check(t, "headers", err)
	var kept []string
	for line := range strings.Lines(string(b)) {
		if !strings.HasPrefix(line, "Date:") {
			kept = append(kept, line)
		}
	}
	return answer{out[at+1:], out[:at], strings.Join(kept, "")}
}

// Whoever has no token sees the same site at the origin, at the edge and behind
// a CDN, whatever is asked.
func TestStrangersSeeOneSiteEverywhere(t *testing.T) {
	t.Parallel()
	cdns(t, time.Minute, func(t *testing.T, c *cdn) {
		edge, _ := c.edge()
		upgrade := []string{"--header", "Connection: Upgrade", "--header", "Upgrade: websocket",
			"--header", "Sec-WebSocket-Version: 13", "--header", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}
		for name, q := range map[string]struct {
			path, status string
			args         []string
		}{
			"the first page":     {"/", "200", nil},
			"no such page":       {"/wp-login.php", "404", nil},
			"a head":             {"/", "200", []string{"--head", "--output", os.DevNull}},
			"a form":             {"/", "405", []string{"--data", "user=admin"}},
			"an upgrade":         {"/", "200", upgrade},
			"a token of no one":  {"/", "200", append([]string{"--cookie", strings.Replace(c.token(), "=", "=A", 1)}, upgrade...)},
			"a token of garbage": {"/", "200", append([]string{"--cookie", "session=%00%ff"}, upgrade...)},
			"no upgrade":         {"/", "200", []string{"--cookie", c.token()}},
		} {
			at := func(base string, more ...string) answer {
				return ask(t, append(append(more, q.args...), base+q.path)...)
			}
			origin, edge := at("http://"+c.origin), at("https://"+edge)
			fronted := at("https://"+hidden, "--connect-to", hidden+":443:"+c.address)
			if origin.status != q.status {
				t.Errorf("%s: got status %s, want %s", name, origin.status, q.status)
			}
			if edge != origin {
				t.Errorf("%s: edge and origin differ: got %q, want %q", name, edge, origin)
			}
			if fronted.status != origin.status || fronted.body != origin.body {
				t.Errorf("%s: got %s %q behind the CDN, want %s %q", name, fronted.status, fronted.body, origin.status, origin.body)
			}
		}
		if got := ask(t, "--connect-to", other+":443:"+c.address, "https://"+other+"/"); got.body != otherSite {
			t.Errorf("another Host: got %q, want %q", got.body, otherSite)
		}
	})
}

// python is an interpreter that has the websockets package, a WebSocket
// implementation that shares nothing with ours.
func python(t testing.TB) string {
	t.Helper()
	for _, path := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(path, "-c", "import websockets").Run() == nil {
			return path
		}
	}
	missing(t, "Python's websockets (Debian: python3-websockets)")
	return ""
}

func TestAnotherWebSocketImplementationMeetsTheDoor(t *testing.T) {
	t.Parallel()
	interpreter := python(t)
	w := newWorld(t)
	edge, _ := w.edge()
	for name, url := range map[string]string{"at the origin": "ws://" + w.origin + "/", "through the edge": "wss://" + edge + "/any/path"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cookies := make([]string, 40)
			for i := range cookies {
				cookies[i] = w.token()
			}
			args := []string{"testdata/peer.py", url, strings.Join(cookies, "\n")}
			if long {
				args = append(args, "long")
			}
			out, err := output(interpreter, args...)
			t.Log(out)
			check(t, "peer", err)
		})
	}
}
