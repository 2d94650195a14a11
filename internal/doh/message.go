package doh

import (
	"errors"
	"math"
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

// newQuestion asks for the records of a host, of one kind. Its ID is 0, so that
// caches know it again (RFC 8484, section 4.1), and its size tells little of the name.
func newQuestion(kind dnsmessage.Type, host string) (*question, error) {
	name, err := dnsmessage.NewName(strings.TrimSuffix(host, ".") + ".")
	if err != nil {
		return nil, err
	}
	q := &question{Question: dnsmessage.Question{Name: name, Type: kind, Class: dnsmessage.ClassINET}}
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

// answers are what b has that may be of use.
func (q *question) answers(b []byte) (*answers, error) {
	var p dnsmessage.Parser
	h, err := p.Start(b)
	if err != nil {
		return nil, &Error{errNoDNS.What, err}
	}
	if err := q.isAnswered(h, &p); err != nil {
		return nil, err
	}
	return read(&p)
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
	servers map[string][]dnsmessage.SVCBResource // by HTTPS records
}

func read(p *dnsmessage.Parser) (*answers, error) {
	a := &answers{make(map[string]string), make(map[string][]netip.Addr), make(map[string][]dnsmessage.SVCBResource)}
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
	case h.Type == dnsmessage.TypeHTTPS:
		r, err := p.HTTPSResource()
		a.servers[owner] = append(a.servers[owner], r.SVCBResource)
		return err
	}
	return p.SkipAnswer()
}

// of gives the addresses of the family that q asks for, at the end of its host's aliases.
func (a *answers) of(q *question) ([]netip.Addr, error) {
	name, err := a.end(q)
	if err != nil {
		return nil, err
	}
	return ofFamily(a.addrs[name], q.Type == dnsmessage.TypeA)
}

// end is the name at the end of the aliases of q's.
func (a *answers) end(q *question) (string, error) {
	name := lower(q.Name)
	for range maxAliases {
		next, isAlias := a.aliases[name]
		if !isAlias {
			return name, nil
		}
		name = next
	}
	return "", errLoop
}

// echOf gives the ECH configurations of the best server that is the one that q asks for, and no other.
func (a *answers) echOf(q *question) ([]byte, error) {
	name, err := a.end(q)
	if err != nil {
		return nil, err
	}
	var best []byte
	priority := uint16(math.MaxUint16)
	for _, r := range a.servers[name] {
		if list, found := r.GetParam(dnsmessage.SVCParamECH); found && isItself(r, name) && (best == nil || r.Priority < priority) {
			best, priority = list, r.Priority
		}
	}
	if best == nil {
		return nil, ErrNoECH
	}
	return best, nil
}

// isItself reports whether a record is about the server that name leads to itself, at its usual port, and demands nothing that is not
// known here: it is no alias, and what it says is as in RFC 9460.
func isItself(r dnsmessage.SVCBResource, name string) bool {
	_, elsewhere := r.GetParam(dnsmessage.SVCParamPort)
	mandatory, _ := r.GetParam(dnsmessage.SVCParamMandatory)
	for ; len(mandatory) >= 2; mandatory = mandatory[2:] {
		key := dnsmessage.SVCParamKey(mandatory[0])<<8 | dnsmessage.SVCParamKey(mandatory[1])
		elsewhere = elsewhere || key > dnsmessage.SVCParamIPv6Hint
	}
	target := lower(r.Target)
	return r.Priority > 0 && !elsewhere && len(mandatory) == 0 && (target == "." || target == name)
}

func ofFamily(all []netip.Addr, is4 bool) ([]netip.Addr, error) {
	all = slices.DeleteFunc(all, func(a netip.Addr) bool { return a.Is4() != is4 || a.Is4In6() })
	if len(all) == 0 {
		return nil, ErrNoAddress
	}
	return all[:min(len(all), MaxAddrs)], nil
}
