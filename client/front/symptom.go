package front

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"culvert/internal/dial"
)

// Symptom is how a step to a front ended, as a program can tell.
type Symptom int

// The symptoms.
const (
	Other       Symptom = iota
	Silence             // nobody answered in time
	Cut                 // the connection was reset, or ended without a word
	Refusal             // TCP was refused
	NoName              // the name cannot be looked up
	BadProxy            // the proxy on the way out is the reason
	NotYetValid         // the certificate begins in the future: the clock is wrong
	Certificate         // the certificate is another than it should be, or is over
)

// SymptomOf says how the step of err ended. Where several addresses were tried it
// is the first that says something.
func SymptomOf(err error) Symptom {
	var step *Error
	if errors.As(err, &step) {
		err = step.err
	}
	for _, cause := range dial.Causes(err) {
		if s := symptomOf(cause); s != Other {
			return s
		}
	}
	return Other
}

func symptomOf(err error) Symptom {
	var dns *net.DNSError
	var proxy *proxyError
	switch {
	case errors.As(err, &proxy):
		return BadProxy
	case describeCertificate(err) != "":
		return certificateSymptom(err)
	case errors.As(err, &dns):
		return NoName
	case dial.IsErrno(err, syscall.ECONNREFUSED):
		return Refusal
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), dial.IsErrno(err, syscall.ETIMEDOUT):
		return Silence
	case wasCut(err):
		return Cut
	}
	return Other
}

func certificateSymptom(err error) Symptom {
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert.NotBefore.After(time.Now()) {
		return NotYetValid
	}
	return Certificate
}
