package front

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"culvert/internal/link"
)

// fakeResolver answers over HTTPS, with the certificate of worldCertificate.
type fakeResolver struct {
	names map[string]string                                                   // IPv4 addresses
	bad   func(w http.ResponseWriter, r *http.Request, m *dnsmessage.Message) // spoils an answer, or writes one; nil: none is spoiled
	ech   []byte                                                              // of each name's HTTPS record; nil: there are none
	old   bool                                                                // speaks HTTP/1.1 alone

	mu    sync.Mutex // guards the following
	asked []string   // type and name of each question
}

func (f *fakeResolver) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.asked)
}

// resolverAt is how the resolver at an address is reached.
func resolverAt(address string) link.Resolver {
	return link.Resolver{Front: pinnedTo("dns.example", address)}
}

func (f *fakeResolver) serve(c net.Conn) {
	cfg := &tls.Config{Certificates: []tls.Certificate{worldCertificate()}, NextProtos: []string{"h2", "http/1.1"}}
	if f.old {
		cfg.NextProtos = nil
	}
	one := &oneConn{c: tls.Server(c, cfg)}
	go (&http.Server{Handler: f}).Serve(one)
}

// oneConn is a listener to which one connection comes.
type oneConn struct{ c net.Conn }

func (l *oneConn) Accept() (c net.Conn, err error) {
	if c, l.c = l.c, nil; c == nil {
		err = io.EOF
	}
	return c, err
}
func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

func (f *fakeResolver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	var m dnsmessage.Message
	if err != nil || m.Unpack(b) != nil || len(m.Questions) != 1 || r.Header.Get("Content-Type") != "application/dns-message" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	q := m.Questions[0]
	f.mu.Lock()
	f.asked = append(f.asked, q.Type.String()+" "+q.Name.String())
	f.mu.Unlock()
	m.Response, m.Additionals = true, nil
	address, known := f.names[q.Name.String()]
	switch {
	case !known:
		m.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeHTTPS && f.ech != nil:
		m.Answers = append(m.Answers, httpsRecord(q.Name, f.ech))
	case q.Type == dnsmessage.TypeA:
		m.Answers = append(m.Answers, aRecord(q.Name.String(), address))
	}
	w.Header().Set("Content-Type", "application/dns-message")
	if f.bad != nil {
		f.bad(w, r, &m)
	}
	if b, err = m.Pack(); err == nil {
		w.Write(b)
	}
}

func aRecord(name, address string) dnsmessage.Resource {
	return dnsmessage.Resource{
		Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Class: dnsmessage.ClassINET, TTL: 60},
		Body:   &dnsmessage.AResource{A: [4]byte(net.ParseIP(address).To4())},
	}
}

func httpsRecord(name dnsmessage.Name, ech []byte) dnsmessage.Resource {
	r := &dnsmessage.HTTPSResource{SVCBResource: dnsmessage.SVCBResource{Priority: 1, Target: dnsmessage.MustNewName(".")}}
	r.SetParam(dnsmessage.SVCParamALPN, []byte("\x02h2"))
	r.SetParam(dnsmessage.SVCParamECH, ech)
	return dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: 60}, Body: r}
}

func alias(name, to string) dnsmessage.Resource {
	return dnsmessage.Resource{
		Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Class: dnsmessage.ClassINET, TTL: 60},
		Body:   &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(to)},
	}
}

func TestTheResolversOfTheProgramAreReachedByAddressesOfBothFamiliesWithoutAName(t *testing.T) {
	t.Parallel()
	own := resolverAt("9.9.9.9:443")
	all := Resolvers(&link.Link{Resolvers: []link.Resolver{own}})
	if len(all) != 4 || all[0].String() != own.String() {
		t.Fatalf("got %v, want the link's first, and three more", all)
	}
	for _, r := range all[1:] {
		families := make(map[bool]bool)
		for _, address := range r.Addrs() {
			host, _, _ := net.SplitHostPort(address)
			if ip := net.ParseIP(host); ip != nil {
				families[ip.To4() != nil] = true
			}
		}
		if len(families) != 2 || r.ServerName() != "" || r.VerifyName() == "" {
			t.Errorf("got %s, want IPv4 and IPv6, no name in the clear, and one to verify", r)
		}
	}
}
