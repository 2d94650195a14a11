package serve

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme"
)

// applicant shows the certificate that a server has got by ACME, and has it renewed. All processes that share a folder
// have the same, and answer each other's challenges: two listen at one port while one takes over.
type applicant struct {
	ACME
	log     *slog.Logger
	got     atomic.Pointer[tls.Certificate]
	hurry   chan struct{} // what has room for one: ask now, however long ago the last failure is
	running sync.WaitGroup
}

// These are the files in an applicant's folder, which their owner alone reads.
const (
	accountFile     = "account.pem"     // the account's key
	certificateFile = "certificate.pem" // the chain, and its key, of Let's Encrypt
	challengeFile   = "challenge.pem"   // what the authority is to see while it looks
)

func (a *applicant) file(name string) string { return filepath.Join(a.Folder, name) }

// certificate is the file of the chain that a's authority has signed. Each authority has one of its own, so that what one
// that is for trials has signed is not shown once another is named.
func (a *applicant) certificate() string {
	if at := a.Authority.String(); at != letsEncrypt {
		sum := sha256.Sum256([]byte(at))
		return a.file(fmt.Sprintf("certificate-%x.pem", sum[:4]))
	}
	return a.file(certificateFile)
}

// reread has a ask at once where it waits after a failure.
func (a *applicant) reread() {
	select {
	case a.hurry <- struct{}{}:
	default:
	}
}

// config shows the certificate that a has got, or else what fallback shows. A challenge is answered while there is one;
// at any other time whoever asks as the authority does sees what every stranger sees.
func (a *applicant) config(fallback *tls.Config) *tls.Config {
	cfg := secureBy(func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if got := a.got.Load(); got != nil && (hello.ServerName != "" || !a.Unnamed) {
			return got, nil
		}
		return fallback.GetCertificate(hello)
	})
	begin := cfg.GetConfigForClient
	cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if hello.ServerName != a.Name || !slices.Equal(hello.SupportedProtos, []string{acme.ALPNProto}) {
			return begin(hello)
		}
		answer, err := readPair(a.file(challengeFile))
		if err != nil {
			return begin(hello)
		}
		return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{acme.ALPNProto}, Certificates: []tls.Certificate{*answer}}, nil
	}
	return cfg
}

// runWith has a ask and renew until ln is closed.
func (a *applicant) runWith(ln net.Listener) net.Listener {
	ctx, cancel := context.WithCancel(context.Background())
	a.running.Go(func() { a.run(ctx) })
	return &applying{ln, func() { cancel(); a.running.Wait() }}
}

// applying is a listener that ends something with it.
type applying struct {
	net.Listener
	stop func()
}

func (l *applying) Close() error {
	err := l.Listener.Close()
	l.stop()
	return err
}

// Pauses of an applicant. Let's Encrypt counts five failures of a name within an hour, and refuses more.
const (
	lookAtFolder = time.Minute
	afterFailure = 2 * time.Minute
	mostPause    = 6 * time.Hour
)

// askPatience bounds one attempt to get a certificate.
const askPatience = 5 * time.Minute

func (a *applicant) run(ctx context.Context) {
	for pause := afterFailure; ctx.Err() == nil; {
		wait := lookAtFolder
		if err := a.keep(ctx); err == nil {
			pause = afterFailure
		} else if ctx.Err() == nil {
			a.log.Error("cannot get a certificate", "error", err, "next", pause)
			wait, pause = pause, min(3*pause, mostPause)
		}
		select {
		case <-ctx.Done():
		case <-a.hurry:
		case <-time.After(wait):
		}
	}
}

// keep shows the certificate in the folder, and asks for one where that is none or ends soon.
func (a *applicant) keep(ctx context.Context) error {
	if a.show(); a.got.Load() != nil && !isDue(a.got.Load(), time.Now()) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	if err := a.obtain(ctx); err != nil {
		return err
	}
	a.show()
	return nil
}

// show takes the certificate in the folder, if that is of use.
func (a *applicant) show() {
	cert, err := readPair(a.certificate())
	if err != nil || cert.Leaf.VerifyHostname(a.Name) != nil || time.Now().After(cert.Leaf.NotAfter) {
		return
	}
	if old := a.got.Swap(cert); old == nil || !old.Leaf.Equal(cert.Leaf) {
		a.log.Info("certificate by ACME", "until", cert.Leaf.NotAfter.UTC().Format(time.DateOnly))
	}
}

// isDue reports whether two thirds of a certificate's life are over, however long that is.
func isDue(c *tls.Certificate, now time.Time) bool {
	return now.After(c.Leaf.NotAfter.Add(-c.Leaf.NotAfter.Sub(c.Leaf.NotBefore) / 3))
}

// readPair reads a chain and its key from one file.
func readPair(name string) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(name, name)
	if err != nil {
		return nil, err
	}
	return &pair, nil
}
