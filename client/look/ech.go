package look

import (
	"errors"
	"slices"

	utls "github.com/refraction-networking/utls"

	"culvert/internal/ech"
)

// Rejected means that the server does not take a Config's ECH, as its certificate for the public name vouches. Nothing of
// the name that is hidden was sent. A new connection is to use Retry, or no ECH if that is zero.
type Rejected struct{ Retry ech.Config }

func (*Rejected) Error() string { return "the server does not take this ECH configuration" }

// encrypt has a ClientHello name what cfg says within an ECH alone, in place of the browser's GREASE. What is hidden says less than a
// browser's would: uTLS writes it, without GREASE and in the standard library's order. Who ends ECH sees that, and nobody else.
// No session is resumed, since uTLS would offer its ticket in the clear.
func encrypt(settings *utls.Config, spec *utls.ClientHelloSpec, cfg Config) {
	settings.MinVersion = utls.VersionTLS13
	settings.EncryptedClientHelloConfigList = cfg.ECH.List()
	settings.InsecureServerNameToVerify = cfg.ECH.PublicName() // where ECH is rejected; else Verify judges
	settings.RootCAs, settings.Time = cfg.Roots, cfg.Now
	settings.ClientSessionCache = nil
	spec.Extensions = slices.DeleteFunc(spec.Extensions, func(e utls.TLSExtension) bool {
		if a, ok := e.(*utls.ALPNExtension); ok {
			settings.NextProtos = slices.Clone(a.AlpnProtocols)
		}
		_, isPSK := e.(utls.PreSharedKeyExtension)
		return isPSK
	})
}

// rejected is err as a *Rejected, if it is one.
func rejected(err error) error {
	var no *utls.ECHRejectionError
	if !errors.As(err, &no) {
		return err
	}
	retry, _ := ech.Parse(no.RetryConfigList) // what cannot be used is none
	return &Rejected{retry}
}
