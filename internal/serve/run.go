package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"culvert/internal/version"
)

// Service is a handler on its listener until it is told to stop.
type Service struct {
	Listener  net.Listener // with TLS on it, if there is to be any; Run closes it
	Lasting   net.Listener // accepts until the drain is over, and Listener only until it begins; nil: Listener lasts
	Handler   http.Handler
	Strangers int // connections that are not WebSockets; 0: DefaultStrangers
	Admin     AdminAddress
	Metrics   prometheus.Gatherer
	Log       *slog.Logger

	DrainFor time.Duration // how long Leave and Drain may take together

	// Leave is called first, while new connections are still accepted, and
	// Drain when none are any more: it waits for what net/http has handed
	// over, and ends it when its context does. Either may be nil.
	Leave, Drain func(context.Context) error
}

// Run serves until ctx is done, then stops gracefully. It returns nil after a
// complete drain, the context's error if something had to be cut, or why it
// could not serve.
func (s Service) Run(ctx context.Context) error {
	adminListener, err := s.Admin.listen(s.Log)
	if err != nil {
		s.close()
		return err
	}
	health := newAdmin(s.Metrics)
	server := newServer(s.Handler, or(s.Strangers, DefaultStrangers), s.Log)
	failed := s.start(server)
	if adminListener != nil {
		adminServer := newServer(health, 64, s.Log)
		adminFailed := start(adminServer, adminListener)
		defer func() { adminServer.Close(); <-adminFailed }()
	}
	s.Log.Info("ready", "listen", s.Listener.Addr().String(), "admin", addressOf(adminListener), "version", version.String())
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	health.draining.Store(true)
	s.giveUp(server)
	err = s.stop(server)
	<-failed
	return err
}

// start serves in a goroutine of its own and hands over Serve's error, which
// comes when the server is closed at the latest.
func start(server *http.Server, ln net.Listener) <-chan error {
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(ln) }()
	return failed
}

// start serves on all listeners. A second one that fails shows when it is
// needed: nobody is cut before.
func (s Service) start(server *http.Server) <-chan error {
	if s.Lasting != nil {
		start(server, s.Lasting)
	}
	return start(server, s.Listener)
}

// giveUp leaves Listener to whoever takes its address over, and with it those
// who would come again by a connection that they have kept.
func (s Service) giveUp(server *http.Server) {
	if s.Lasting != nil {
		s.Listener.Close()
		server.SetKeepAlivesEnabled(false)
	}
}

func (s Service) close() {
	s.Listener.Close()
	if s.Lasting != nil {
		s.Lasting.Close()
	}
}

// stop gives everything DrainFor in all.
func (s Service) stop(server *http.Server) error {
	s.Log.Info("draining", "for", s.DrainFor)
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), s.DrainFor)
	defer cancel()
	err := errors.Join(call(s.Leave, ctx), server.Shutdown(ctx), call(s.Drain, ctx))
	server.Close()
	s.Log.Info("stopped", "after", time.Since(start).Round(time.Millisecond), "complete", err == nil)
	return err
}

func call(f func(context.Context) error, ctx context.Context) error {
	if f == nil {
		return nil
	}
	return f(ctx)
}

func or(n, instead int) int {
	if n == 0 {
		return instead
	}
	return n
}

func addressOf(ln net.Listener) string {
	if ln == nil {
		return string(Off)
	}
	return ln.Addr().String()
}

// Main is a server's main but for its settings: run is told to stop by the
// first SIGTERM or SIGINT, and a second one ends the process at once. It exits
// with 1 after an error of run and with 2 after wrong settings.
func Main(p Program, cfg any, run func(context.Context, *slog.Logger) error) {
	switch err := Load(p, cfg, os.Args[1:], os.Stdout); {
	case errors.Is(err, ErrShown):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(ctx, stop) // from then on a signal does what it does by default
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := run(ctx, log); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		log.Error("cannot serve", "err", err)
		os.Exit(1)
	}
}
