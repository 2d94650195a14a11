package front

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"

	"culvert/client/look"
	"culvert/internal/dial"
)

// Step is a step on the way to a front. Its text begins an Error's.
type Step string

// The steps, in their order.
const (
	StepConnect Step = "connect" // look the name up, and connect
	StepTLS     Step = "TLS"     // shake hands, and verify the certificate
	StepUpgrade Step = "upgrade" // ask for a WebSocket
)

// index is a step's place in their order.
func (s Step) index() int { return slices.Index([]Step{StepConnect, StepTLS, StepUpgrade}, s) }

// Error says at which step a front failed and what to try. Its text has
// no name and no address of the front; Unwrap leads to errors which do, and which
// are not to be shown.
type Error struct {
	step Step
	err  error
}

// Failed is an *Error: step ended with err.
func Failed(step Step, err error) error { return &Error{step, err} }

// Step is where it failed.
func (e *Error) Step() Step { return e.step }

func (e *Error) Unwrap() error { return e.err }

func (e *Error) Error() string {
	said := make(map[string]bool)
	var all []string
	for _, err := range dial.Causes(e.err) {
		if s := Plainly(err); !said[s] {
			said[s] = true
			all = append(all, s)
		}
	}
	return string(e.step) + ": " + strings.Join(all, "; ")
}

// Plainly is err without names and addresses, and with what to try.
func Plainly(err error) string {
	for _, describe := range []func(error) string{describeUnresolved, describeProxy, describeCertificate, describeTLS} {
		if s := describe(err); s != "" {
			return s
		}
	}
	return describeNetwork(err)
}

func describeCertificate(err error) string {
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var authority x509.UnknownAuthorityError
	switch {
	case errors.Is(err, errPin):
		return "the certificate matches no pin of the link; ask for a new link, or someone is in between"
	case errors.As(err, &name):
		return "the certificate is for another name; check the front's verify and sni, or someone is in between"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the certificate has expired or is not valid yet; check this machine's clock"
	case errors.As(err, &invalid):
		return "the certificate is not valid; try another front"
	case errors.As(err, &authority):
		return "nobody trusted vouches for the certificate; pin it in the link if it is yours, else someone is in between"
	}
	return ""
}

func describeTLS(err error) string {
	var record tls.RecordHeaderError
	var remote *net.OpError
	var rejected *look.Rejected
	switch {
	case errors.As(err, &rejected):
		return "the front does not take the ECH configuration that the link has; ask for a new link"
	case errors.As(err, &record):
		return "what answers does not speak TLS; check the front's port"
	case errors.As(err, &remote) && remote.Op == "remote error":
		return fmt.Sprintf("the front refuses the handshake (%v); check its sni", remote.Err)
	}
	return ""
}

// wasCut reports whether a connection ended without a word.
func wasCut(err error) bool {
	for _, cut := range []error{io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe} {
		if errors.Is(err, cut) {
			return true
		}
	}
	return dial.IsErrno(err, syscall.ECONNRESET) || dial.IsErrno(err, syscall.ECONNABORTED) || dial.IsErrno(err, syscall.EPIPE)
}

func describeNetwork(err error) string {
	var dns *net.DNSError
	var errno syscall.Errno
	switch {
	case dial.IsErrno(err, syscall.EMFILE), dial.IsErrno(err, syscall.ENFILE), errors.As(err, &dns) && strings.HasSuffix(dns.Err, syscall.EMFILE.Error()):
		return "this machine lets the program open no more files; raise the limit, as by ulimit -n, and start it again"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "the name is not known here; try another network, or put addresses into the front's dial"
	case errors.As(err, &dns):
		return "the name cannot be looked up; try another network, or put addresses into the front's dial"
	case errors.Is(err, context.Canceled):
		return "given up"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "no answer in time; try another front or network"
	case errors.As(err, &errno):
		return errno.Error() + "; try another front or network"
	}
	return "the connection broke off; try another front or network"
}
