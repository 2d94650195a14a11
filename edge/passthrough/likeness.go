package passthrough

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"culvert/internal/site"
)

// likeness is the website that is shown while the origin does not answer: the one that the origin shows, as soon as
// that is known. Its methods may be called by many.
type likeness struct {
	shown atomic.Pointer[http.Handler]
	fixed bool // it is what the operator has said
}

func newLikeness(said http.Handler) *likeness {
	l := &likeness{fixed: said != nil}
	if said == nil {
		said = site.Handler()
	}
	l.shown.Store(&said)
	return l
}

func (l *likeness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*l.shown.Load()).ServeHTTP(w, r)
}

// see finds out by the origin's first page which of the embedded websites it shows.
func (l *likeness) see(modified string, page []byte) {
	if choice, ok := site.Recognize(modified, page); ok {
		var shown http.Handler = choice.Site()
		l.shown.Store(&shown)
	}
}

// The origin is asked for its first page so often: until it has answered, and afterwards, as it may show another.
const (
	learnEvery   = 5 * time.Second
	relearnEvery = 10 * time.Minute
)

// maxPage bounds the first page of an embedded website.
const maxPage = 16 << 10

// Learn asks the origin now and then which website it shows, until ctx ends. An edge whose operator has said it does
// not ask.
func (p *Proxy) Learn(ctx context.Context, origin *url.URL) {
	for !p.site.fixed {
		wait := learnEvery
		if p.ask(ctx, origin) {
			wait = relearnEvery
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (p *Proxy) ask(ctx context.Context, origin *url.URL) (answered bool) {
	ctx, cancel := context.WithTimeout(ctx, headerPatience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, origin.JoinPath("/").String(), nil)
	if err != nil {
		return false
	}
	res, err := p.transport.RoundTrip(r)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	page, err := io.ReadAll(io.LimitReader(res.Body, maxPage))
	if err != nil || res.StatusCode >= http.StatusInternalServerError {
		return false
	}
	p.site.see(res.Header.Get("Last-Modified"), page)
	return true
}
