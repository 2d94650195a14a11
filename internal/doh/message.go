package doh

import (
	"errors"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// MaxAddrs is how many addresses of an answer are taken.
const MaxAddrs = 16

// Bounds of what is read of an answer. No resolver follows as many aliases (BIND 9 stops
// after 16), and addresses beyond MaxAddrs are of no use.
const (
	maxAliases = 16
	maxRecords = 256
)

// Padding of questions: RFC 7830, and 128 bytes by RFC 8467, section 4.1.
const (
	optionPadding = 12
	paddedTo      = 128
	maxPayload    = 4096 // of UDP, which nobody uses here
)

// Errors about what an answer says.
var (
	errNoDNS   = &Error{What: "sends what is no DNS message"}
	errAnother = &Error{What: "answers another question"}
	errLoop    = &Error{What: "leads in a circle"}
	errFailed  = &Error{What: "cannot look the name up"}
)

// question is a message that asks, and what it asks.
type question struct {
	dnsmessage.Question
	message []byte
}

// newQuestion asks for the addresses of host; network is ip4 or ip6. Its ID is 0, so that
// caches know it again (RFC 8484, section 4.1), and its size tells little of the name.
func newQuestion(network, host string) (*question, error) {
	name, err := dnsmessage.NewName(strings.TrimSuffix(host, ".") + ".")
	if err != nil {
		return nil, err
	}
	q := &question{Question: dnsmessage.Question{Name: name, Type: dnsmessage.TypeAAAA, Class: dnsmessage.ClassINET}}
	if network == "ip4" {
		q.Type = dnsmessage.TypeA
	}
	bare, err := q.pack(0)
	if err != nil {
		return nil, err
	}
	q.message, err = q.pack((paddedTo - len(bare)%paddedTo) % paddedTo)
	return q, err
}

func (q *question) pack(padding int) ([]byte, error) {
	var opt dnsmessage.ResourceHeader
	if err := opt.SetEDNS0(maxPayload, dnsmessage.RCodeSuccess, false); err != nil {
		return nil, err
	}
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{RecursionDesired: true},
		Questions: []dnsmessage.Question{q.Question},
		Additionals: []dnsmessage.Resource{{Header: opt, Body: &dnsmessage.OPTResource{
			Options: []dnsmessage.Option{{Code: optionPadding, Data: make([]byte, padding)}},
		}}},
	}
	return m.Pack()
}

// addresses are those that the answer b has of the host, by its aliases if it has some.
func (q *question) addresses(b []byte) ([]netip.Addr, error) {
	var p dnsmessage.Parser
	h, err := p.Start(b)
	if err != nil {
		return nil, &Error{errNoDNS.What, err}
	}
	if err := q.isAnswered(h, &p); err != nil {
		return nil, err
	}
	a, err := read(&p)
	if err != nil {
		return nil, err
	}
	return a.of(q)
}

// isAnswered says why an answer does not count, of which h is the header and of which p
// reads the questions. Names compare without case.
func (q *question) isAnswered(h dnsmessage.Header, p *dnsmessage.Parser) error {
	asked, err := p.AllQuestions()
	switch {
	case err != nil:
		return &Error{errNoDNS.What, err}
	case h.ID != 0, !h.Response, h.OpCode != 0, len(asked) != 1, asked[0].Type != q.Type, asked[0].Class != q.Class,
		lower(asked[0].Name) != lower(q.Name):
		return errAnother
	case h.Truncated:
		return errCut
	case h.RCode == dnsmessage.RCodeNameError:
		return ErrNoName
	case h.RCode != dnsmessage.RCodeSuccess:
		return errFailed
	}
	return nil
}

func lower(n dnsmessage.Name) string { return strings.ToLower(n.String()) }

// answers are the records of an answer that may be of use, by their owners.
type answers struct {
	aliases map[string]string
	addrs   map[string][]netip.Addr
}

func read(p *dnsmessage.Parser) (*answers, error) {
	a := &answers{make(map[string]string), make(map[string][]netip.Addr)}
	for range maxRecords {
		h, err := p.AnswerHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return a, nil
		}
		if err == nil {
			err = a.take(p, h)
		}
		if err != nil {
			return nil, &Error{errNoDNS.What, err}
		}
	}
	return nil, errLarge
}

func (a *answers) take(p *dnsmessage.Parser, h dnsmessage.ResourceHeader) error {
	owner := lower(h.Name)
	switch {
	case h.Class != dnsmessage.ClassINET:
		return p.SkipAnswer()
	case h.Type == dnsmessage.TypeA:
		r, err := p.AResource()
		a.addrs[owner] = append(a.addrs[owner], netip.AddrFrom4(r.A))
		return err
	case h.Type == dnsmessage.TypeAAAA:
		r, err := p.AAAAResource()
		a.addrs[owner] = append(a.addrs[owner], netip.AddrFrom16(r.AAAA))
		return err
	case h.Type == dnsmessage.TypeCNAME:
		r, err := p.CNAMEResource()
		if err == nil {
			a.aliases[owner] = lower(r.CNAME)
		}
		return err
	}
	return p.SkipAnswer()
}

// of gives the addresses of the family that q asks for, at the end of its host's aliases.
func (a *answers) of(q *question) ([]netip.Addr, error) {
	name := lower(q.Name)
	for range maxAliases {
		next, isAlias := a.aliases[name]
		if !isAlias {
			return ofFamily(a.addrs[name], q.Type == dnsmessage.TypeA)
		}
		name = next
	}
	return nil, errLoop
}

func ofFamily(all []netip.Addr, is4 bool) ([]netip.Addr, error) {
	all = slices.DeleteFunc(all, func(a netip.Addr) bool { return a.Is4() != is4 || a.Is4In6() })
	if len(all) == 0 {
		return nil, ErrNoAddress
	}
	return all[:min(len(all), MaxAddrs)], nil
}
