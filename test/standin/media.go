package standin

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"time"
)

const (
	// MaxMedia bounds one download from a Server and one upload to it.
	MaxMedia = 1 << 30

	headWait    = 10 * time.Second // to send a request's head
	requestWait = 15 * time.Minute // for a request, from its head to the last byte of the answer
	keepAlive   = 2 * time.Minute  // between requests
)

// Uploaded is a Server's answer to an upload, as JSON.
type Uploaded struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // in hexadecimal
}

// ServeMedia serves media on l, over TLS and HTTP/1.1 or 2, until Close, when it
// returns nil, or until l fails. It closes l. GET /media/N answers with the N
// bytes of Pattern(N); a POST or PUT to any path answers with an Uploaded; GET / of web.whatsapp.com is
// WhatsApp Web's stand-in, a page with a WebSocket.
func (s *Server) ServeMedia(l net.Listener) error {
	server := &http.Server{
		Handler:           s.mediaHandler(),
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{s.cert}},
		ReadHeaderTimeout: headWait,
		ReadTimeout:       requestWait,
		WriteTimeout:      requestWait,
		IdleTimeout:       keepAlive,
		MaxHeaderBytes:    16 << 10,
		ConnState:         s.watch,
		ErrorLog:          log.New(io.Discard, "", 0), // it would name addresses
	}
	if !s.track(server) {
		l.Close()
		return nil
	}
	defer s.untrack(server)
	return s.ended(server.ServeTLS(newCapped(l, maxConns), "", ""))
}

// watch lets Close wait for the server's connections. ServeMedia runs when one
// is new, so nobody has done waiting.
func (s *Server) watch(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.wg.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.wg.Done()
	}
}

func (s *Server) mediaHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /media/{n}", download)
	mux.HandleFunc("POST /", upload)
	mux.HandleFunc("PUT /", upload)
	s.handleWeb(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.begin() { // HTTP/2 has handlers that outlive their connection
			defer s.wg.Done()
			mux.ServeHTTP(w, r)
		}
	})
}

func download(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.ParseUint(r.PathValue("n"), 10, 63)
	if err != nil || n > MaxMedia {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatUint(n, 10))
	io.Copy(w, Pattern(int64(n)))
}

func upload(w http.ResponseWriter, r *http.Request) {
	sum := sha256.New()
	n, err := io.Copy(sum, http.MaxBytesReader(w, r.Body, MaxMedia))
	if err != nil {
		http.Error(w, "the upload did not arrive whole", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(Uploaded{n, hex.EncodeToString(sum.Sum(nil))})
}
