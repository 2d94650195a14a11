package doh

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

func asking(t testing.TB, network, host string) *question {
	t.Helper()
	q, err := newQuestion(map[string]dnsmessage.Type{"ip4": dnsmessage.TypeA, "ip6": dnsmessage.TypeAAAA, "https": dnsmessage.TypeHTTPS}[network], host)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// Who sees how long a request is learns little of the name's length.
func TestAQuestionIsPaddedAndHasNoIDOfItsOwn(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"a.example", strings.Repeat("a", 60) + ".example", "Front.Example."} {
		q := asking(t, "ip4", host)
		var m dnsmessage.Message
		if err := m.Unpack(q.message); err != nil {
			t.Fatal(err)
		}
		if len(q.message) != paddedTo || m.ID != 0 || !m.RecursionDesired || len(m.Questions) != 1 || m.Questions[0].Type != dnsmessage.TypeA ||
			m.Questions[0].Name.String() != strings.TrimSuffix(host, ".")+"." {
			t.Errorf("%s: got %d bytes, %+v, want %d bytes that ask for its A without an ID", host, len(q.message), m, paddedTo)
		}
	}
	if q := asking(t, "ip6", "a.example"); q.Type != dnsmessage.TypeAAAA {
		t.Errorf("got %v, want AAAA", q.Type)
	}
}

func TestANameThatDNSCannotHoldIsNotAsked(t *testing.T) {
	t.Parallel()
	for _, host := range []string{strings.Repeat("a", 300), strings.Repeat("a", 64) + ".example", "a..example"} {
		if _, err := newQuestion(dnsmessage.TypeA, host); err == nil {
			t.Errorf("%.20s: got no error", host)
		}
	}
}

// addressesOf are those that an answer has.
func addressesOf(q *question, b []byte) ([]netip.Addr, error) {
	a, err := q.answers(b)
	if err != nil {
		return nil, err
	}
	return a.of(q)
}

func record(name string, body dnsmessage.ResourceBody) dnsmessage.Resource {
	return dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Class: dnsmessage.ClassINET}, Body: body}
}

func cname(to string) *dnsmessage.CNAMEResource {
	return &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(to)}
}

func v4(n int) *dnsmessage.AResource {
	return &dnsmessage.AResource{A: [4]byte{1, 1, byte(n >> 8), byte(n)}}
}

func repeated(n int, one func(i int) dnsmessage.Resource) (all []dnsmessage.Resource) {
	for i := range n {
		all = append(all, one(i))
	}
	return all
}

func TestOfAnAnswerOnlyWhatWasAskedForCounts(t *testing.T) {
	t.Parallel()
	mapped := &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr("::ffff:1.2.3.4").As16()}
	name := func(i int) string { return string(rune('a'+i)) + ".example." }
	for what, c := range map[string]struct {
		network string
		answers []dnsmessage.Resource
		want    int // addresses
		err     error
	}{
		"an address":                {"ip4", []dnsmessage.Resource{record("A.EXAMPLE.", v4(1))}, 1, nil},
		"none":                      {"ip4", nil, 0, ErrNoAddress},
		"another name's":            {"ip4", []dnsmessage.Resource{record("b.example.", v4(1))}, 0, ErrNoAddress},
		"of another family":         {"ip6", []dnsmessage.Resource{record("a.example.", v4(1))}, 0, ErrNoAddress},
		"IPv4 in IPv6's clothes":    {"ip6", []dnsmessage.Resource{record("a.example.", mapped)}, 0, ErrNoAddress},
		"beside an alias":           {"ip4", []dnsmessage.Resource{record("a.example.", cname("b.example.")), record("a.example.", v4(1))}, 0, ErrNoAddress},
		"an alias of itself":        {"ip4", []dnsmessage.Resource{record("a.example.", cname("a.example."))}, 0, errLoop},
		"text beside it":            {"ip4", []dnsmessage.Resource{record("a.example.", &dnsmessage.TXTResource{TXT: []string{"x"}}), record("a.example.", v4(1))}, 1, nil},
		"more than are taken":       {"ip4", repeated(100, func(i int) dnsmessage.Resource { return record("a.example.", v4(i)) }), MaxAddrs, nil},
		"more than are read":        {"ip4", repeated(maxRecords+1, func(i int) dnsmessage.Resource { return record("a.example.", v4(i)) }), 0, errLarge},
		"aliases, as many as count": {"ip4", append(repeated(maxAliases-1, func(i int) dnsmessage.Resource { return record(name(i), cname(name(i+1))) }), record(name(maxAliases-1), v4(1))), 1, nil},
		"one alias too many":        {"ip4", append(repeated(maxAliases, func(i int) dnsmessage.Resource { return record(name(i), cname(name(i+1))) }), record(name(maxAliases), v4(1))), 0, errLoop},
	} {
		q := asking(t, c.network, "a.example")
		m := dnsmessage.Message{Header: dnsmessage.Header{Response: true}, Questions: []dnsmessage.Question{q.Question}, Answers: c.answers}
		b, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := addressesOf(q, b); len(got) != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: got %v, %v, want %d and %v", what, got, err, c.want, c.err)
		}
	}
}

// https is an HTTPS record; params are in the order of their keys.
func https(name string, priority uint16, target string, params ...dnsmessage.SVCParam) dnsmessage.Resource {
	return record(name, &dnsmessage.HTTPSResource{SVCBResource: dnsmessage.SVCBResource{Priority: priority, Target: dnsmessage.MustNewName(target), Params: params}})
}

func param(key dnsmessage.SVCParamKey, value string) dnsmessage.SVCParam {
	return dnsmessage.SVCParam{Key: key, Value: []byte(value)}
}

func TestOfHTTPSRecordsOnlyThatOfTheServerItselfCounts(t *testing.T) {
	t.Parallel()
	ech := param(dnsmessage.SVCParamECH, "right")
	wrong := param(dnsmessage.SVCParamECH, "wrong")
	for what, c := range map[string]struct {
		answers []dnsmessage.Resource
		want    string
		err     error
	}{
		"a record":            {[]dnsmessage.Resource{https("A.EXAMPLE.", 1, ".", ech)}, "right", nil},
		"the name itself":     {[]dnsmessage.Resource{https("a.example.", 1, "A.example.", ech)}, "right", nil},
		"behind an alias":     {[]dnsmessage.Resource{record("a.example.", cname("b.example.")), https("b.example.", 1, ".", ech), https("a.example.", 1, ".", wrong)}, "right", nil},
		"the best":            {[]dnsmessage.Resource{https("a.example.", 9, ".", wrong), https("a.example.", 2, ".", ech)}, "right", nil},
		"none":                {nil, "", ErrNoECH},
		"without ECH":         {[]dnsmessage.Resource{https("a.example.", 1, ".", param(dnsmessage.SVCParamALPN, "\x02h2"))}, "", ErrNoECH},
		"another name's":      {[]dnsmessage.Resource{https("b.example.", 1, ".", wrong)}, "", ErrNoECH},
		"another server":      {[]dnsmessage.Resource{https("a.example.", 1, "b.example.", wrong)}, "", ErrNoECH},
		"another port":        {[]dnsmessage.Resource{https("a.example.", 1, ".", param(dnsmessage.SVCParamPort, "\x01\xbc"), wrong)}, "", ErrNoECH},
		"an alias of its own": {[]dnsmessage.Resource{https("a.example.", 0, ".", wrong)}, "", ErrNoECH},
		"what is mandatory":   {[]dnsmessage.Resource{https("a.example.", 1, ".", param(dnsmessage.SVCParamMandatory, "\x00\x01\x00\x05"), ech)}, "right", nil},
		"what nobody knows":   {[]dnsmessage.Resource{https("a.example.", 1, ".", param(dnsmessage.SVCParamMandatory, "\x00\x05\x00\x63"), wrong)}, "", ErrNoECH},
		"an endless alias":    {[]dnsmessage.Resource{record("a.example.", cname("a.example."))}, "", errLoop},
	} {
		q := asking(t, "https", "a.example")
		m := dnsmessage.Message{Header: dnsmessage.Header{Response: true}, Questions: []dnsmessage.Question{q.Question}, Answers: c.answers}
		b, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		a, err := q.answers(b)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := a.echOf(q); string(got) != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: got %q, %v, want %q and %v", what, got, err, c.want, c.err)
		}
	}
}

// Whatever comes, an answer is an error of ours or some addresses of the family.
func FuzzAnswer(f *testing.F) {
	q := asking(f, "ip4", "a.example")
	m := dnsmessage.Message{Header: dnsmessage.Header{Response: true}, Questions: []dnsmessage.Question{q.Question},
		Answers: []dnsmessage.Resource{record("a.example.", cname("b.example.")), record("b.example.", v4(1))}}
	b, err := m.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(q.message)
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := q.answers(b); err == nil {
			if list, err := a.echOf(q); err != nil && list != nil {
				t.Errorf("got %x, %v, want an error alone", list, err)
			}
		}
		got, err := addressesOf(q, b)
		var ours *Error
		switch {
		case err != nil && (!errors.As(err, &ours) || len(got) > 0):
			t.Errorf("got %v, %v, want an error of ours alone", got, err)
		case err == nil && (len(got) == 0 || len(got) > MaxAddrs || slices.ContainsFunc(got, func(a netip.Addr) bool { return !a.Is4() })):
			t.Errorf("got %v, want 1 to %d IPv4 addresses", got, MaxAddrs)
		}
	})
}
