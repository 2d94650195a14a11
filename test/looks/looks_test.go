package main

import (
	"context"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"culvert/client"
	"culvert/client/front"
	"culvert/client/look"
	"culvert/internal/link"
	"culvert/internal/seal"
)

// connections is how many of each kind are compared: enough to see that their order is another each time.
const connections = 4

// The client's ClientHellos and requests against those of the browsers that are here, on the wire as tshark
// reads it, in one run.
func TestTheClientLooksLikeTheBrowser(t *testing.T) {
	if os.Getenv("CULVERT_REAL") == "" {
		t.Skip("CULVERT_REAL is not set: it takes browsers and tshark")
	}
	for _, b := range browsers {
		t.Run(b.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*runLimit)
			defer cancel()
			ours, theirs := newTestSite(t), newTestSite(t)
			wire := sniff(t, ours.port(), theirs.port())
			clientVisits(t, b.name, ours)
			_, sockets, err := b.collectAt(ctx, theirs, connections, 0)
			must(t, err)
			seen := wire.read(t)
			compareHellos(t, seen[ours.port()], seen[theirs.port()], sockets)
			for range connections {
				v := <-ours.visitors
				if got, want := masked(v.head), masked(sockets[0].head); got != want {
					t.Errorf("got the request\n%s\nwant the browser's\n%s\n(make looks writes it anew)", got, want)
				}
			}
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newTestSite(t *testing.T) *site {
	t.Helper()
	s, err := newSite(connections, "h2", "http/1.1")
	must(t, err)
	t.Cleanup(s.close)
	return s
}

// linkTo is a link to a site, as for an edge.
func linkTo(t *testing.T, s *site) *link.Link {
	t.Helper()
	f, err := link.ParseFront(fmt.Sprintf("wss://%s:%d/socket;dial=127.0.0.1", siteName, s.port()))
	must(t, err)
	return &link.Link{Keys: seal.NewMaster().Client(1), Fronts: []link.Front{f}}
}

func (s *site) roots(t *testing.T) *x509.CertPool {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(s.pem()) {
		t.Fatal("got no authority")
	}
	return roots
}

// clientVisits has clients with a look ask a site for sockets.
func clientVisits(t *testing.T, name string, s *site) {
	t.Helper()
	for range connections {
		c, err := client.New(client.Config{Link: linkTo(t, s), Dialer: &front.Dialer{Look: name, Roots: s.roots(t)}})
		must(t, err)
		if p := c.Probe(t.Context(), 0); !p.Passed() {
			t.Fatalf("got %+v, want a socket", p)
		}
	}
}

// compareHellos wants ours to be theirs: by JA4, by their order, and by what they may be long.
func compareHellos(t *testing.T, ours, theirs []*hello, sockets []visitor) {
	t.Helper()
	var theirSockets []*hello // without those for pages
	for _, h := range theirs {
		if h.alpn() == "h1" {
			theirSockets = append(theirSockets, h)
		}
	}
	if len(ours) != connections || len(theirSockets) != connections {
		t.Fatalf("tshark saw %d ClientHellos of the client and %d of the browser, want %d each", len(ours), len(theirSockets), connections)
	}
	orders := func(all []*hello) int {
		seen := make(map[string]bool)
		for _, h := range all {
			seen[fmt.Sprint(h.order())] = true
		}
		return len(seen)
	}
	want := theirSockets[0].ja4()
	for _, h := range ours {
		if got := h.ja4(); got != want {
			t.Errorf("got JA4 %s, want the browser's %s (make looks writes it anew)", got, want)
		}
	}
	if got, want := orders(ours), orders(theirSockets); got != want {
		t.Errorf("got %d orders of extensions in %d ClientHellos, want %d", got, connections, want)
	}
	parsed, err := parseHello(sockets[0].hello)
	must(t, err)
	t.Logf("JA4 %s by tshark for %d connections of the client and %d of the browser (%s by our own reading), %d and %d orders of extensions",
		want, len(ours), len(theirSockets), parsed.ja4(), orders(ours), orders(theirSockets))
}

// masked is a request without what differs by chance or by where it goes.
func masked(head string) string {
	for _, c := range []struct{ what, by string }{
		{`(?m)^(Sec-WebSocket-Key: ).{24}\r$`, "${1}KEY\r"}, {`(?m)^(Cookie: ).*\r$`, "${1}COOKIE\r"}, {siteName + `:\d+`, "HOST"},
	} {
		head = regexp.MustCompile(c.what).ReplaceAllString(head, c.by)
	}
	return usual(head)
}

// wiretap is tshark at the loopback interface, for some ports alone: it misses some of what goes there if that is much.
type wiretap struct {
	file  string
	ports []string
	cmd   *exec.Cmd
}

func sniff(t *testing.T, ports ...int) *wiretap {
	t.Helper()
	w := &wiretap{file: filepath.Join(t.TempDir(), "wire.pcap")}
	for _, port := range ports {
		w.ports = append(w.ports, strconv.Itoa(port))
	}
	w.cmd = exec.Command("tshark", "-q", "-i", "lo", "-f", "tcp port "+strings.Join(w.ports, " or tcp port "), "-w", w.file)
	must(t, w.cmd.Start())
	t.Cleanup(func() { w.cmd.Process.Kill() })
	for range 300 { // it has written its file's head once it listens
		if info, err := os.Stat(w.file); err == nil && info.Size() > 0 {
			return w
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("tshark captures nothing (apt-get install tshark; it takes root)")
	return nil
}

// read ends the capture, and returns the ClientHellos in it that went to the ports, by these.
func (w *wiretap) read(t *testing.T) map[int][]*hello {
	t.Helper()
	time.Sleep(time.Second) // tshark writes what it has seen once a second at the latest
	w.cmd.Process.Signal(syscall.SIGINT)
	w.cmd.Wait()
	to := strings.Join(w.ports, ",")
	args := []string{"-r", w.file, "-Y", "tls.handshake.type == 1 and tcp.dstport in {" + to + "}", "-d", "tcp.port==1-65535,tls", "-T", "fields", "-E", "separator=|"}
	for _, field := range []string{"tcp.dstport", "tls.handshake.ciphersuite", "tls.handshake.extension.type", "tls.handshake.sig_hash_alg",
		"tls.handshake.extensions.supported_version", "tls.handshake.extensions_alpn_str"} {
		args = append(args, "-e", field)
	}
	out, err := exec.Command("tshark", args...).Output()
	must(t, err)
	all := make(map[int][]*hello)
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(strings.TrimSpace(line), "|")
		if len(fields) != 6 {
			t.Fatalf("got %q of tshark, want six fields", line)
		}
		port, err := strconv.Atoi(fields[0])
		must(t, err)
		all[port] = append(all[port], helloOf(t, fields[1:]))
	}
	return all
}

// helloOf is a ClientHello as tshark tells it: ciphers, extensions, signatures, versions, protocols.
func helloOf(t *testing.T, fields []string) *hello {
	t.Helper()
	list := func(s string) (all []uint16) {
		for _, word := range strings.Split(s, ",") {
			v, err := strconv.ParseUint(word, 0, 16)
			must(t, err)
			all = append(all, uint16(v))
		}
		return all
	}
	body := func(prefix int, all []uint16) []byte {
		b := make([]byte, prefix)
		for _, v := range all {
			b = binary.BigEndian.AppendUint16(b, v)
		}
		return b
	}
	first, _, _ := strings.Cut(fields[4], ",")
	return &hello{ciphers: list(fields[0]), numbers: list(fields[1]), extensions: map[uint16][]byte{
		extensionSignatures: body(2, list(fields[2])), extensionVersions: body(1, list(fields[3])),
		extensionALPN: append([]byte{0, 0, byte(len(first))}, first...),
	}}
}

// Without browsers: what is played has the JA4 of what was captured, whatever chance does.
func TestALookHasTheFingerprintOfItsCapture(t *testing.T) {
	t.Parallel()
	for _, name := range look.Names() {
		s := newTestSite(t)
		clientVisits(t, name, s)
		want := embedded(t, name)
		lengths := make(map[int]bool)
		for range connections {
			v := <-s.visitors
			h, err := parseHello(v.hello)
			must(t, err)
			if got := h.ja4(); got != want.ja4() {
				t.Errorf("%s: got JA4 %s, want %s", name, got, want.ja4())
			}
			lengths[len(v.hello)] = true
		}
		t.Logf("%s: JA4 %s, lengths %v", name, want.ja4(), lengths)
	}
}

// embedded is the captured ClientHello of a look for wss://.
func embedded(t *testing.T, name string) *hello {
	t.Helper()
	b, err := os.ReadFile("../../" + folder + "/" + name + ".json")
	must(t, err)
	d, err := look.ReadData(b)
	must(t, err)
	h, err := parseHello(d.Socket)
	must(t, err)
	return h
}

// Against a TLS that is not Go's, of every version that it has and by every group.
func TestEachLookShakesHandsWithOpenSSL(t *testing.T) {
	if os.Getenv("CULVERT_REAL") == "" {
		t.Skip("CULVERT_REAL is not set: it takes openssl")
	}
	t.Parallel()
	for _, args := range [][]string{nil, {"-tls1_2"}, {"-tls1_3"}, {"-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"}, {"-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"}, {"-groups", "X25519"}, {"-groups", "P-384"}} {
		server := newOpenSSL(t, args...)
		for _, name := range look.Names() {
			d := &front.Dialer{Look: name, Roots: server.roots}
			for i := range 2 {
				conn, way, err := front.Open(t.Context(), d, server.front, readPage)
				if err != nil {
					t.Errorf("%s with openssl s_server %s: %v", name, strings.Join(args, " "), err)
					break
				}
				conn.Close()
				if again := slices.Contains(args, "P-384"); way.State.DidResume != (i > 0 && !again) {
					t.Errorf("%s with openssl s_server %s, connection %d: resumed is %v", name, strings.Join(args, " "), i+1, way.State.DidResume)
				}
			}
		}
	}
}

type openSSL struct {
	front link.Front
	roots *x509.CertPool
}

func newOpenSSL(t *testing.T, args ...string) *openSSL {
	t.Helper()
	s, err := newSite(0) // for its certificate and its port
	must(t, err)
	s.close()
	dir := t.TempDir()
	key, err := x509.MarshalPKCS8PrivateKey(s.cert.PrivateKey)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "key.der"), key, 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "cert.der"), s.cert.Certificate[0], 0o600))
	cmd := exec.Command("openssl", append([]string{"s_server", "-accept", fmt.Sprintf("127.0.0.1:%d", s.port()), "-www", "-quiet",
		"-cert", filepath.Join(dir, "cert.der"), "-certform", "DER", "-key", filepath.Join(dir, "key.der"), "-keyform", "DER"}, args...)...)
	cmd.Stderr = os.Stderr
	must(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	f := linkTo(t, s).Fronts[0]
	o := &openSSL{f, s.roots(t)}
	for range 100 {
		if conn, _, err := front.Open(t.Context(), &front.Dialer{Roots: o.roots}, f, shakeHands); err == nil {
			conn.Close()
			return o
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("openssl s_server does not answer")
	return nil
}

func shakeHands(_ context.Context, conn *front.Conn) (*front.Conn, error) { return conn, nil }

// readPage reads what openssl tells of the connection, behind which tickets come.
func readPage(_ context.Context, conn *front.Conn) (*front.Conn, error) {
	if _, err := conn.Write(conn.AppendVisit(nil, siteName, "/")); err != nil {
		return nil, front.Failed(front.StepUpgrade, err)
	}
	b := make([]byte, 16)
	n, err := conn.Read(b)
	if err != nil || !slices.Equal(b[:n][:min(n, 5)], []byte("HTTP/")) {
		return nil, front.Failed(front.StepUpgrade, fmt.Errorf("got %q, %w", b[:n], err))
	}
	return conn, nil
}
