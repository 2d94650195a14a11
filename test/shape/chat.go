package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

//go:embed page.html
var page string

// chatServer is all chat sites: a page for each, and the far end of its WebSockets.
type chatServer struct {
	seed    uint64
	kinds   []site
	pages   http.Handler // what the libraries' pages load
	ports   []int        // of the sites' taps
	total   int          // visits
	next    atomic.Int64 // the visit that begins next
	over    atomic.Int64 // visits that have ended
	allOver chan struct{}
	lasts   time.Duration
}

// ServeHTTP shows a page that visits sites one after another, and each site's page, its script and its WebSocket.
func (c *chatServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	site, _ := strconv.Atoi(r.FormValue("site"))
	session, _ := strconv.ParseUint(r.FormValue("session"), 10, 32)
	switch r.URL.Path {
	case "/page":
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, page)
	case "/next":
		c.answerNext(w)
	case "/over":
		if c.over.Add(1) == int64(c.total) {
			close(c.allOver)
		}
	case "/script":
		c.answerScript(w, site, session)
	case "/socket":
		c.serve(w, r, site, session)
	default:
		c.pages.ServeHTTP(w, r)
	}
}

func (c *chatServer) kind(number int) site { return c.kinds[number%len(c.kinds)] }

func (c *chatServer) answerScript(w http.ResponseWriter, site int, session uint64) {
	kind := c.kind(site)
	says := map[string]any{"lasts": c.lasts.Milliseconds()}
	if kind.real {
		says["real"] = kind.name
	} else {
		says["steps"], says["binary"] = siteScript(site, kind, c.seed, session).steps, kind.binary
	}
	json.NewEncoder(w).Encode(says)
}

// answerNext says which site is visited next, and by which port its socket is reached.
func (c *chatServer) answerNext(w http.ResponseWriter) {
	n := int(c.next.Add(1)) - 1
	if n >= c.total {
		fmt.Fprint(w, "{}")
		return
	}
	site := n % len(c.ports)
	fmt.Fprintf(w, `{"site":%d,"session":%d,"port":%d}`, site, n/len(c.ports)+1, c.ports[site])
}

func (c *chatServer) serve(w http.ResponseWriter, r *http.Request, site int, session uint64) {
	kind := c.kind(site)
	s := siteScript(site, kind, c.seed, session)
	mode := []websocket.CompressionMode{websocket.CompressionDisabled, websocket.CompressionDisabled, websocket.CompressionContextTakeover}[s.once.IntN(3)]
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true, CompressionMode: mode})
	if err != nil {
		return
	}
	defer ws.CloseNow()
	ctx, cancel := context.WithTimeout(r.Context(), c.lasts)
	defer cancel()
	if every := time.Duration(s.once.IntN(3)) * 10 * time.Second; every > 0 { // many servers ask whether the browser is there
		go keepAsking(ctx, ws, every)
	}
	for _, st := range s.steps {
		if err := c.take(ctx, ws, st, kind); err != nil {
			return
		}
	}
	ws.Read(ctx)
}

func keepAsking(ctx context.Context, ws *websocket.Conn, every time.Duration) {
	for {
		select {
		case <-time.After(every):
			ws.Ping(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// take does a step at the server's end.
func (c *chatServer) take(ctx context.Context, ws *websocket.Conn, st step, kind site) error {
	if st.Up {
		_, _, err := ws.Read(ctx)
		return err
	}
	select {
	case <-time.After(st.Wait):
	case <-ctx.Done():
		return ctx.Err()
	}
	if kind.binary {
		b := make([]byte, st.Size)
		for i := range b {
			b[i] = byte(rand.Uint32())
		}
		return ws.Write(ctx, websocket.MessageBinary, b)
	}
	return ws.Write(ctx, websocket.MessageText, text(st.Size))
}

// text is JSON of so many bytes, of words that compress about as people's do.
func text(n int) []byte {
	words := strings.Fields("the of and to in is you that it he was for on are with as his they be at one have this from or had by hot but some what there we can out other were all your when up use word how said an each she which do their time if will way about many then them would write like so these her long make thing see him two has look more day could go come did my sound no most number who over know water than call first people may down side been now find")
	var b strings.Builder
	fmt.Fprintf(&b, `{"id":"%016x","ts":%d,"text":"`, rand.Uint64(), time.Now().UnixMilli())
	for b.Len() < n {
		b.WriteString(words[rand.IntN(len(words))])
		b.WriteByte(' ')
	}
	return []byte(b.String()[:n])
}
