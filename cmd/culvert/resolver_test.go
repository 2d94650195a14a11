package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/test/local/localtest"
)

// resolver says that every name is at 127.0.0.1, and counts who asks. Its URL has its pin.
func resolver(t *testing.T) (url string, asked *atomic.Int32) {
	t.Helper()
	asked = new(atomic.Int32)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		b, _ := io.ReadAll(r.Body)
		var m dnsmessage.Message
		if r.ProtoMajor != 2 || m.Unpack(b) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		m.Response, m.Additionals = true, nil
		if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60},
				Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
			}}
		}
		b, _ = m.Pack()
		w.Header().Set("Content-Type", "application/dns-message")
		w.Write(b)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL + "/dns-query;pin=" + link.PinOf(server.Certificate()).String(), asked
}

// nowhere is a front whose name no system's resolver knows (RFC 7686), and whose only
// other address is of this machine and refuses.
func nowhere(t *testing.T, f link.Front) link.Front {
	t.Helper()
	_, port, err := net.SplitHostPort(f.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	f.Host = "front.onion:" + port
	f.Dial = append(slices.Clone(localtest.DeadFront(t).Addrs()), f.Host)
	return f
}

func TestANameThatTheSystemDoesNotKnowIsAskedOfTheLinksResolverOrTheCommandLines(t *testing.T) {
	t.Parallel()
	r, dir := localtest.Open(t), t.TempDir()
	if err := r.Save(dir); err != nil {
		t.Fatal(err)
	}
	ofLink, askedOfLink := resolver(t)
	given, askedOfGiven := resolver(t)
	in, err := link.ParseResolver(ofLink)
	if err != nil {
		t.Fatal(err)
	}
	l := &link.Link{Keys: r.Link.Keys, Fronts: []link.Front{nowhere(t, r.Link.Fronts[0])}, Resolvers: []link.Resolver{in}}
	args := append(doctorFlags(t, dir), "--link-file", file(t, "link", l.String(), 0o600))
	for _, c := range []struct {
		more        []string
		code        int
		link, given bool // is asked
	}{
		{nil, 0, true, false},
		{[]string{"--resolver", given}, 0, false, true},
		{[]string{"--resolver", "none"}, 1, false, false},
	} {
		askedOfLink.Store(0)
		askedOfGiven.Store(0)
		code, report := diagnose(t, append(args, c.more...)...)
		if code != c.code || (askedOfLink.Load() > 0) != c.link || (askedOfGiven.Load() > 0) != c.given {
			t.Errorf("%.10s: got code %d, %s, %d and %d questions, want code %d", c.more, code, statuses(report), askedOfLink.Load(), askedOfGiven.Load(), c.code)
		}
	}
}

func TestALinkHoldsItsResolvers(t *testing.T) {
	t.Parallel()
	secret, _ := secretFile(t, 0o600)
	const one, two = "https://dns.example/dns-query;dial=192.0.2.53", "https://9.9.9.9/dns-query"
	code, stdout, stderr := culvert(t, "link", "new", "--secret-file", secret, "--user", "1", "--front", "wss://a.example/", "--resolver", one, "--resolver", two)
	l, err := link.Parse(strings.TrimSuffix(stdout, "\n"))
	if code != 0 || err != nil || len(l.Resolvers) != 2 || l.Resolvers[0].String() != one+":443" || l.Resolvers[1].String() != two {
		t.Errorf("got code %d, %s, %v, want both", code, stderr, err)
	}
}

func TestAWrongResolverIsRefused(t *testing.T) {
	t.Parallel()
	l := file(t, "link", (&link.Link{Keys: seal.NewMaster().Client(1), Fronts: []link.Front{localtest.DeadFront(t)}}).String(), 0o600)
	secret, _ := secretFile(t, 0o600)
	for _, command := range [][]string{
		{"connect", "--link-file", l}, {"doctor", "--link-file", l}, {"link", "new", "--secret-file", secret, "--user", "1", "--front", "wss://a.example/"},
	} {
		code, _, stderr := culvert(t, append(command, "--resolver", "https://9.9.9.9/", "--resolver", "9.9.9.9")...)
		if code != 2 || !strings.Contains(stderr, "--resolver, number 2 of 2: resolver: write it as https://") {
			t.Errorf("%s: got code %d, %q, want what a resolver is", command[0], code, stderr)
		}
	}
	if code, _, stderr := culvert(t, "doctor", "--direct", "--resolver", "none"); code != 2 || !strings.Contains(stderr, "--resolver") {
		t.Errorf("got code %d, %q, want no resolver with --direct", code, stderr)
	}
}
