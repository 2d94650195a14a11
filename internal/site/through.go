package site

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"time"

	"culvert/internal/guise"
)

// The other website may take so long.
const (
	otherDial   = 5 * time.Second
	otherAnswer = 10 * time.Second
)

// asked are the headers of a visitor's that the other website gets: nothing that says who it is.
var asked = []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range", "Accept"}

// told are those of the other website's that a visitor does not get: what names its server, and what would have a
// browser remember this one.
var told = []string{"Server", "Via", "Alt-Svc", "X-Powered-By", "Date", "Set-Cookie", "Strict-Transport-Security", "Public-Key-Pins"}

// agent is who the other website is asked by.
const agent = "Mozilla/5.0 (compatible)"

// through shows another website under this one's name. It asks for pages only, and says nothing of who wants them.
func through(to *url.URL) http.Handler {
	p := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			header := http.Header{"User-Agent": {agent}}
			for _, name := range asked {
				if v := r.In.Header.Values(name); len(v) > 0 {
					header[name] = slices.Clone(v)
				}
			}
			if guise.TakesGzip(r.In) {
				header.Set("Accept-Encoding", "gzip")
			}
			r.Out.Header = header
		},
		Transport: &http.Transport{
			DialContext:            (&net.Dialer{Timeout: otherDial}).DialContext,
			TLSHandshakeTimeout:    otherDial,
			ResponseHeaderTimeout:  otherAnswer,
			MaxResponseHeaderBytes: 16 << 10,
			MaxConnsPerHost:        64,
			IdleConnTimeout:        time.Minute,
			DisableCompression:     true,
			ForceAttemptHTTP2:      true,
		},
		ModifyResponse: func(res *http.Response) error { return disown(res, to) },
		ErrorHandler:   func(w http.ResponseWriter, r *http.Request, _ error) { guise.Refuse(w, r, http.StatusBadGateway) },
		ErrorLog:       log.New(io.Discard, "", 0), // its lines hold addresses
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		guise.LeaveBody(w, r)
		if r.Method != http.MethodGet && r.Method != http.MethodHead || r.ContentLength != 0 {
			guise.Refuse(w, r, http.StatusMethodNotAllowed)
			return
		}
		p.ServeHTTP(w, r)
	})
}

// errSwitch means that the other website wants to speak something else, which nobody has asked for.
var errSwitch = errors.New("another protocol")

// disown takes out of an answer what says whose it is, and has redirections lead here.
func disown(res *http.Response, from *url.URL) error {
	if res.StatusCode == http.StatusSwitchingProtocols {
		return errSwitch
	}
	for _, name := range told {
		res.Header.Del(name)
	}
	for _, name := range []string{"Location", "Content-Location"} {
		u, err := url.Parse(res.Header.Get(name))
		if err != nil || u.Host != "" && u.Host != from.Host {
			continue
		}
		u.Scheme, u.Host = "", ""
		if base := strings.TrimSuffix(from.Path, "/"); strings.HasPrefix(u.Path, base+"/") {
			u.Path = u.Path[len(base):]
		}
		if text := u.String(); text != "" {
			res.Header.Set(name, text)
		}
	}
	return nil
}
