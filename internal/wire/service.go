package wire

import (
	"errors"
	"strings"
)

// ServiceKind is one of the things that WhatsApp's apps connect to.
type ServiceKind byte

// The services. A client names one of them; only the origin knows addresses.
const (
	Chat  ServiceKind = 1 + iota // the Noise stream of g.whatsapp.net; Host is empty
	Media                        // TLS to a media host; Host is the SNI that the app sent, or empty
	Web                          // TLS to WhatsApp Web; Host is the name asked for
)

func (k ServiceKind) String() string {
	switch k {
	case Chat:
		return "chat"
	case Media:
		return "media"
	case Web:
		return "web"
	}
	return "unknown service"
}

// Service is what a tunnel leads to.
type Service struct {
	Kind ServiceKind
	Host string // lower case, no trailing dot; at most 253 bytes
}

// ErrService means the bytes name no service.
var ErrService = errors.New("not a service")

// AppendService writes s as kind, length of host, host.
func AppendService(b []byte, s Service) []byte {
	b = append(b, byte(s.Kind), byte(len(s.Host)))
	return append(b, s.Host...)
}

// ParseService reads a service from the start of b and returns what follows.
func ParseService(b []byte) (Service, []byte, error) {
	if len(b) < 2 || len(b) < 2+int(b[1]) {
		return Service{}, nil, ErrService
	}
	s := Service{ServiceKind(b[0]), string(b[2 : 2+int(b[1])])}
	if s.Kind < Chat || s.Kind > Web || len(s.Host) > 253 || s.Host != CleanHost(s.Host) {
		return Service{}, nil, ErrService
	}
	return s, b[2+len(s.Host):], nil
}

// CleanHost is the one spelling of a host name: lower case, no trailing dot.
func CleanHost(h string) string { return strings.ToLower(strings.TrimSuffix(h, ".")) }

// HostName is CleanHost of a host name of RFC 1123, section 2.1, in plain ASCII:
// labels of 1 to 63 letters, digits and hyphens, in all at most 253 bytes. It
// returns false for anything else. Bytes are checked before the case is folded, as
// Unicode has letters that fold to ASCII ones.
func HostName(h string) (string, bool) {
	h = strings.TrimSuffix(h, ".")
	for label := range strings.SplitSeq(h, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.Trim(label, labelBytes) != "" {
			return "", false
		}
	}
	return strings.ToLower(h), len(h) <= 253
}

const labelBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"
