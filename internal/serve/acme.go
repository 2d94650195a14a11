package serve

import (
	"crypto/tls"
	"net"
	"slices"
	"strings"
	"time"

	"culvert/internal/selfsigned"
)

// ACME are the settings of a certificate that the server gets itself (RFC 8555), by proving in a TLS handshake at
// port 443 that the name leads to it (tls-alpn-01, RFC 8737).
type ACME struct {
	Name      string `env:"CULVERT_ACME_NAME" help:"a name that leads to port 443 of this machine: the server gets a certificate for it, and renews it; by this it agrees to the authority's terms. Until there is one, that of CULVERT_TLS_CERT is shown, or one that nobody has signed" try:"origin.example"`
	Authority URL    `env:"CULVERT_ACME_URL" envDefault:"https://acme-v02.api.letsencrypt.org/directory" help:"directory of the certificate authority, by ACME" try:"https://acme-v02.api.letsencrypt.org/directory"`
	Unnamed   bool   `env:"CULVERT_ACME_UNNAMED" help:"true shows the certificate of CULVERT_TLS_CERT to whoever names no host, as clients do whose links name that certificate" try:"true"`
	Folder    string `env:"CULVERT_ACME_FOLDER" envDefault:"/var/lib/culvert/acme" help:"folder of this server's own for the account and the certificate" try:"/var/lib/culvert/acme"`
}

// letsEncrypt is the authority unless another is named.
const letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

// Check wants a name that an authority can look up.
func (a ACME) Check() SettingError {
	if a.Name == "" || isName(a.Name) {
		return SettingError{}
	}
	return SettingError{"CULVERT_ACME_NAME", "is no host name that an authority can look up", "CULVERT_ACME_NAME=origin.example, in small letters"}
}

// isName reports whether s may be the name of a server on the internet: letters, digits and hyphens, with dots between.
func isName(s string) bool {
	labels := strings.Split(s, ".")
	wrong := func(label string) bool {
		return label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || strings.Trim(label, "-") != label
	}
	return len(s) <= 253 && len(labels) > 1 && net.ParseIP(s) == nil && !slices.ContainsFunc(labels, wrong)
}

// TLS are the settings of a listener's certificate: from files, by ACME, or both.
type TLS struct {
	TLSFiles
	ACME ACME
}

// Check is both's.
func (t TLS) Check() []SettingError { return append(t.TLSFiles.Check(), t.ACME.Check()) }

// Listen is TLSFiles.Listen, with the certificate that the server gets by ACME, if it is to get one. That goes on until
// the listener is closed.
func (t TLS) Listen(at Address, shared bool, wrap func(net.Listener) net.Listener, files *Files) (net.Listener, error) {
	if t.ACME.Name == "" {
		return t.TLSFiles.Listen(at, shared, wrap, files)
	}
	secure, err := t.config(files)
	if err == nil && secure == nil {
		t.ACME.Unnamed = false
		secure, err = unsigned(t.ACME.Name)
	}
	if err != nil {
		return nil, err
	}
	a := &applicant{ACME: t.ACME, log: files.log, hurry: make(chan struct{}, 1)}
	files.add(a.reread)
	return listen(at, shared, func(ln net.Listener) net.Listener {
		if wrap != nil {
			ln = wrap(ln)
		}
		return a.runWith(ln)
	}, a.config(secure))
}

// selfSignedLife is as long as openssl's recipes give: clients that pin the key look at no date.
const selfSignedLife = 10 * 365 * 24 * time.Hour

// SelfSigned makes a certificate for a host name or an IP address that nobody has signed.
func SelfSigned(now time.Time, host string) (*tls.Certificate, error) {
	return selfsigned.Make(now, selfSignedLife, host)
}

// unsigned shows a certificate that nobody has signed.
func unsigned(name string) (*tls.Config, error) {
	cert, err := SelfSigned(time.Now(), name)
	if err != nil {
		return nil, err
	}
	return secureBy(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert, nil }), nil
}
