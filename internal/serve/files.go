package serve

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"culvert/internal/guise"
	"culvert/internal/netpoll"
)

// Files are the files that a process reads again while it runs: when they change,
// and when it is told to. Its methods may be called by many goroutines.
type Files struct {
	log *slog.Logger
	now func() time.Time

	mu  sync.Mutex // guards all
	all []func()   // each reads one value again
}

// NewFiles makes the Files of a process, which log what is read again, and what
// cannot be.
func NewFiles(log *slog.Logger) *Files { return &Files{log: log, now: time.Now} }

// Reread reads all files again now, changed or not. A value whose files cannot be
// used stays what it was.
func (f *Files) Reread() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, reread := range f.all {
		reread()
	}
}

// lookAgain is how often at most the files are looked at: often enough for
// whoever replaces one, and nothing beside what it costs to serve.
const lookAgain = 10 * time.Second

// Watched is a value that comes from files and is read again when they change.
// A change that cannot be used is logged, and the old value stays.
type Watched[T any] struct {
	what  string // names the value in the log
	names []string
	load  func() (T, error)
	files *Files

	mu      sync.Mutex // guards the following; held while files are read, at most every lookAgain
	value   T
	stamps  []stamp
	checked time.Time
}

// stamp changes when a file does.
type stamp struct {
	changed, size int64
}

// Watch loads a value that comes from the files of those names for the first time,
// and returns load's error. what names it in the log.
func Watch[T any](f *Files, what string, names []string, load func() (T, error)) (*Watched[T], error) {
	w := &Watched[T]{what: what, names: names, load: load, files: f, checked: f.now()}
	w.stamps = w.look() // before loading: a change in between is seen later
	var err error
	if w.value, err = load(); err != nil {
		return nil, err
	}
	if len(names) > 0 {
		f.add(w.reread)
	}
	return w, nil
}

// add has Reread call reread, too.
func (f *Files) add(reread func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, reread)
}

// Get returns the value that was current at most lookAgain ago.
func (w *Watched[T]) Get() T {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := w.files.now(); now.Sub(w.checked) >= lookAgain {
		w.checked = now
		if stamps := w.look(); !slices.Equal(stamps, w.stamps) {
			w.refresh(stamps)
		}
	}
	return w.value
}

// Follow reads the value again when its files change, until ctx ends: for who must not wait for that, and
// has load say what the value is.
func (w *Watched[T]) Follow(ctx context.Context) {
	tick := time.NewTicker(lookAgain / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.Get()
		}
	}
}

func (w *Watched[T]) reread() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.checked = w.files.now()
	w.refresh(w.look())
}

// refresh reads files that looked like stamps. w.mu is held.
func (w *Watched[T]) refresh(stamps []stamp) {
	w.stamps = stamps
	value, err := w.load()
	if err != nil {
		w.files.log.Error("changed file cannot be used: the old one stays", "what", w.what, "error", err)
		return
	}
	w.value = value
	w.files.log.Info("read again", "what", w.what)
}

func (w *Watched[T]) look() []stamp {
	stamps := make([]stamp, len(w.names))
	for i, name := range w.names {
		if info, err := os.Stat(name); err == nil {
			stamps[i] = stamp{info.ModTime().UnixNano(), info.Size()}
		}
	}
	return stamps
}

// TLSFiles are the settings of a listener's certificate.
type TLSFiles struct {
	Cert string `env:"CULVERT_TLS_CERT" help:"PEM file with the certificate chain; without it the listener speaks plain HTTP, as behind a CDN. Read again when it changes" sighup:"reread" try:"/etc/culvert/cert.pem"`
	Key  string `env:"CULVERT_TLS_KEY" help:"PEM file with the certificate's private key" sighup:"reread" try:"/etc/culvert/key.pem"`
}

// Check wants both or none, and files that can be used.
func (f TLSFiles) Check() []SettingError {
	switch {
	case f.Cert != "" && f.Key == "":
		return []SettingError{{"CULVERT_TLS_KEY", "is not set, but CULVERT_TLS_CERT is", "CULVERT_TLS_KEY=/etc/culvert/key.pem, or neither of them"}}
	case f.Key != "" && f.Cert == "":
		return []SettingError{{"CULVERT_TLS_CERT", "is not set, but CULVERT_TLS_KEY is", "CULVERT_TLS_CERT=/etc/culvert/cert.pem, or neither of them"}}
	}
	if f.Cert == "" {
		return nil
	}
	_, err := f.load()
	return []SettingError{Wrong("CULVERT_TLS_CERT", err, "a certificate chain and its key in PEM form, readable by this user")}
}

// Listen listens at an address, with TLS if a certificate is set. With shared,
// another process of the same user may listen there as well, where the system can
// do that: new connections go to either until one of them stops. wrap, which may be
// nil, prepares the listener beneath TLS.
func (f TLSFiles) Listen(at Address, shared bool, wrap func(net.Listener) net.Listener, files *Files) (net.Listener, error) {
	secure, err := f.config(files)
	if err != nil {
		return nil, err
	}
	return listen(at, shared, wrap, secure)
}

// listen is Listen with what TLS needs; nil: plain HTTP.
func listen(at Address, shared bool, wrap func(net.Listener) net.Listener, secure *tls.Config) (net.Listener, error) {
	var by net.ListenConfig
	if shared {
		by.Control = netpoll.ShareAddress
	}
	listener, err := by.Listen(context.Background(), "tcp", string(at))
	if err != nil {
		return nil, notListening("CULVERT_LISTEN", err)
	}
	if secure != nil {
		listener = inTurn(listener, secure, runtime.GOMAXPROCS(0))
	}
	if wrap != nil {
		listener = wrap(listener)
	}
	return guise.Listen(listener, secure), nil
}

// notListening is err, of an address that a setting names, with what to try.
func notListening(setting string, err error) error {
	try := "choose another"
	switch {
	case errors.Is(err, syscall.EACCES):
		try = "ports below 1024 are the system's: start it by its unit, as root, or after setcap cap_net_bind_service=+ep, or choose another"
	case errors.Is(err, syscall.EADDRINUSE):
		try = "another program has the port (ss -ltnp names it): stop that, or choose another"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		try = "this machine has no such address, or not yet"
	}
	return fmt.Errorf("%s: %w; %s", setting, err, try)
}

// config returns nil if no certificate is set.
func (f TLSFiles) config(files *Files) (*tls.Config, error) {
	if f.Cert == "" {
		return nil, nil
	}
	cert, err := Watch(files, "certificate", []string{f.Cert, f.Key}, f.load)
	if err != nil {
		return nil, err
	}
	return secureBy(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert.Get(), nil }), nil
}

// secureBy shows the certificate that it is given. It offers HTTP/2, as websites do, and HTTP/1.1, which
// WebSockets ask for; full records from the first byte on; and to resume sessions after a restart, too.
func secureBy(show func(*tls.ClientHelloInfo) (*tls.Certificate, error)) *tls.Config {
	secure := &tls.Config{
		MinVersion:                  tls.VersionTLS12,
		NextProtos:                  []string{"h2", "http/1.1"},
		DynamicRecordSizingDisabled: true,
		GetCertificate:              show,
	}
	secure.GetConfigForClient = (&resumption{plain: secure}).config
	return secure
}

func (f TLSFiles) load() (*tls.Certificate, error) {
	cert, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, err
	}
	return &cert, nil
}

// Roots reads certificates that may sign, or are, a server's. An empty name is
// the system's roots: nil.
func Roots(name string) (*x509.CertPool, error) {
	if name == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("holds no PEM certificate")
	}
	return pool, nil
}
