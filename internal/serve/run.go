package serve

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"culvert/internal/guise"
	"culvert/internal/secret"
	"culvert/internal/version"
)

// Service is a handler on its listener until it is told to stop.
type Service struct {
	Listener net.Listener // TLSFiles.Listen's, where answers are to look like another program's; Run closes it
	Lasting  net.Listener // accepts until the drain is over, and Listener only until it begins; nil: Listener lasts
	Handler  http.Handler
	Admin    AdminAddress
	Metrics  prometheus.Gatherer
	Log      *slog.Logger

	Strangers *Strangers // bounds connections that are no WebSocket yet; nil: 4,096, by address

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
	var draining atomic.Bool
	if s.Strangers == nil {
		s.Strangers = NewStrangers(Limits{Strangers: maxStrangers}, nil)
	}
	server := newServer(s.Handler, s.Strangers, s.Log)
	var serving sync.WaitGroup // one for each listener
	defer serving.Wait()
	defer server.Close()
	telling, quiet := context.WithCancel(context.Background())
	defer quiet()
	serving.Go(func() { s.Strangers.tell(telling, s.Log) })
	failed := make(chan error, 1) // Listener's error comes when server is closed at the latest
	serving.Go(func() { failed <- server.Serve(sparing{s.Listener, s.Strangers}) })
	second := newSecond(server)
	defer second.Close()
	if front, ok := s.Listener.(*guise.Listener); ok {
		serving.Go(func() { second.Serve(front.HTTP2()) })
	}
	if s.Lasting != nil {
		serving.Go(func() { server.Serve(sparing{guise.Listen(s.Lasting, nil), s.Strangers}) }) // if this fails, it shows when it is needed: nobody is cut before
	}
	admin := string(Off)
	if adminListener != nil {
		admin = adminListener.Addr().String()
		strangers := NewStrangers(Limits{Strangers: 64}, nil)
		strangers.files = nil
		adminServer := newServer(newAdmin(s.Metrics, &draining), strangers, s.Log)
		serving.Go(func() { adminServer.Serve(adminListener) })
		defer adminServer.Close()
	}
	s.Log.Info("ready", "listen", s.Listener.Addr().String(), "admin", admin, "version", version.String())
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	draining.Store(true)
	if s.Lasting != nil {
		// Whoever takes the address over gets those, too, who would come again by a
		// connection that they have kept.
		s.Listener.Close()
		server.SetKeepAlivesEnabled(false)
	}
	return s.stop(server, second)
}

func (s Service) close() {
	s.Listener.Close()
	if s.Lasting != nil {
		s.Lasting.Close()
	}
}

// pagesFor is the part of a drain for which plain answers may delay the rest, over HTTP/2 and then over HTTP/1: strangers
// could have the drain begin when it is over, by reading slowly.
const pagesFor = 10

// stop gives everything DrainFor in all. HTTP/2 comes first: to server its connections seem to be idle, which it
// would cut.
func (s Service) stop(server, second *http.Server) error {
	s.Log.Info("draining", "for", s.DrainFor)
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), s.DrainFor)
	defer cancel()
	err := call(s.Leave, ctx)
	for _, pages := range []*http.Server{second, server} {
		shutdown(ctx, pages, s.DrainFor/pagesFor)
	}
	second.Close() // who has not read a page by then is no loss
	err = errors.Join(err, call(s.Drain, ctx))
	server.Close()
	s.Log.Info("stopped", "after", time.Since(start).Round(time.Millisecond), "complete", err == nil)
	return err
}

// shutdown waits at most so long for the answers that are being written.
func shutdown(ctx context.Context, server *http.Server, atMost time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	server.Shutdown(ctx)
}

func call(f func(context.Context) error, ctx context.Context) error {
	if f == nil {
		return nil
	}
	return f(ctx)
}

// Main is a server's main but for its settings: run is told to stop by the
// first SIGTERM or SIGINT, and a second one ends the process at once. SIGHUP has
// the files of run read again that it watches, and ends nothing. Main exits with 1
// after an error of run and with 2 after wrong settings.
func Main(p Program, cfg Settings, run func(context.Context, *slog.Logger, *Files) error) {
	secret.Guard()
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP) // before anything else: it ends a process that does not
	switch err := Load(p, cfg, os.Args[1:], os.Stdout); {
	case errors.Is(err, ErrShown):
		return
	case errors.Is(err, ErrUnhealthy):
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(ctx, stop) // from then on a signal does what it does by default
	log := loggerOf(cfg, os.Stderr)
	files := NewFiles(log)
	go func() { // until the process ends
		for range hangups {
			files.Reread()
		}
	}()
	if err := run(ctx, log, files); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		log.Error("cannot serve", "error", err)
		os.Exit(1)
	}
}

// These bound what a stranger may take, in time and memory. None concerns a WebSocket:
// net/http lifts its deadlines when a connection is handed over.
const (
	headerPatience = 10 * time.Second  // for the TLS handshake, and for a request's head: slow-loris ends here
	bodyPatience   = 30 * time.Second  // for all of a request
	answerPatience = 60 * time.Second  // for all of a plain answer
	idlePatience   = 120 * time.Second // between two requests
	maxHead        = 16 << 10          // net/http adds 4 KiB of slack
)

// maxStreams is how many requests of one connection may be under way over HTTP/2.
const maxStreams = 128

// maxStrangers is how many connections may wait that have not become WebSockets, and requests over HTTP/2. At
// about 30 kB each with TLS they take 120 MB.
const maxStrangers = 4096

// newServer serves HTTP/1.1 to no more than so many strangers at once.
func newServer(h http.Handler, strangers *Strangers, to *slog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:                      guise.Dress(strangers.count(guise.Strict(h))), // what is refused waits for its reader, too
		Protocols:                    protocols,
		ReadHeaderTimeout:            headerPatience,
		ReadTimeout:                  bodyPatience,
		WriteTimeout:                 answerPatience,
		IdleTimeout:                  idlePatience,
		MaxHeaderBytes:               maxHead,
		DisableGeneralOptionsHandler: true, // OPTIONS * sees what all others see
		ErrorLog:                     log.New(panics{to}, "", 0),
		ConnState:                    strangers.state,
		ConnContext:                  func(ctx context.Context, c net.Conn) context.Context { return guise.WithConn(withConn(ctx, c), c) },
	}
}

// newSecond serves HTTP/2 to the connections of first that agree on that: first counts them, and ends them
// when it ends.
func newSecond(first *http.Server) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true) // TLS is beneath what net/http sees
	return &http.Server{
		Handler:   first.Handler,
		Protocols: protocols,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          maxStreams,
			MaxReadFrameSize:              16 << 10, // net/http makes room for all of a frame when its first nine bytes have come
			MaxReceiveBufferPerConnection: 64 << 10,
			MaxReceiveBufferPerStream:     64 << 10,
			WriteByteTimeout:              answerPatience, // ends the connection of whoever reads nothing
		},
		ReadHeaderTimeout: first.ReadHeaderTimeout,
		ReadTimeout:       first.ReadTimeout,
		WriteTimeout:      first.WriteTimeout,
		IdleTimeout:       first.IdleTimeout,
		MaxHeaderBytes:    guise.MaxHead,
		ErrorLog:          first.ErrorLog,
		ConnContext:       first.ConnContext,
	}
}

// panics is net/http's error log. Its lines begin with the peer's address and
// tell of broken handshakes; only a panic is worth a line, without the address.
type panics struct{ log *slog.Logger }

func (p panics) Write(b []byte) (int, error) {
	_, after, ok := strings.Cut(string(b), "panic serving ")
	if !ok {
		return len(b), nil
	}
	_, what, _ := strings.Cut(after, ": ") // an address holds no space
	p.log.Error("handler panicked", "what", strings.TrimSpace(what))
	return len(b), nil
}

// NewRegistry holds the metrics of the Go runtime, of the process and of the build
// to begin with.
func NewRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	build := version.Read()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "culvert_build_info", Help: "Always 1; its labels say which build this is, as --version does.",
			ConstLabels: prometheus.Labels{"version": build.Version, "commit": build.Commit, "go_version": build.Go},
		}, func() float64 { return 1 }))
	return r
}

// newAdmin answers /healthz, with 200 while new connections are welcome and 503
// once the drain has begun, and /metrics.
func newAdmin(metrics prometheus.Gatherer, draining *atomic.Bool) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		if draining.Load() {
			http.Error(w, "draining", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return mux
}

// listen returns nil if at is Off.
func (at AdminAddress) listen(log *slog.Logger) (net.Listener, error) {
	if at == Off || at == "" {
		return nil, nil
	}
	if !at.isLoopback() {
		log.Warn("CULVERT_ADMIN_LISTEN is not a loopback address: others may read the metrics", "address", string(at))
	}
	ln, err := net.Listen("tcp", string(at))
	if err != nil {
		return nil, notListening("CULVERT_ADMIN_LISTEN", err)
	}
	return ln, nil
}
