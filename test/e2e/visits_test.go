package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"culvert/client"
	"culvert/client/front"
	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/site"
	"culvert/internal/wire"
	"culvert/origin"
)

// visitors writes down who asks a website for what.
type visitors struct {
	handler http.Handler

	mu    sync.Mutex // guards the following
	asked []string
}

func (v *visitors) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	v.asked = append(v.asked, r.URL.RequestURI())
	v.mu.Unlock()
	v.handler.ServeHTTP(w, r)
}

func (v *visitors) paths() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.asked)
}

// count is how often a page was asked for.
func (v *visitors) count(path string) (n int) {
	for _, p := range v.paths() {
		if p == path {
			n++
		}
	}
	return n
}

// visited is an origin whose website v is, reached at a round trip of 150 ms, and a front of a client's that visits.
func (w *world) visited(v *visitors, change func(*client.Config)) *near {
	w.Helper()
	o := w.origin(func(c *origin.Config) { c.Site = v })
	f := w.forward(o.addr)
	f.delay.Store(int64(75 * time.Millisecond))
	cfg := client.Config{Link: &link.Link{Keys: w.master.Client(1), Fronts: []link.Front{w.front(f.addr())}}, Visit: true}
	if change != nil {
		change(&cfg)
	}
	return w.clientOf(cfg)
}

// The page and what it embeds are asked for before the first socket, and not for the carriers beside and after it. The
// first byte from behind a cold client comes in 2.5 s at a round trip of 150 ms.
func TestTheFirstSocketIsPrecededByAVisitToThePage(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := &visitors{handler: site.Handler()}
		began := time.Now()
		n := w.visited(v, nil)
		if _, err := n.chat().ping(patience); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 2500*time.Millisecond {
			t.Errorf("the first byte came after %v", took)
		}
		first := v.paths()
		if len(first) < 2 || first[0] != "/" || first[len(first)-1] != "/favicon.ico" {
			t.Errorf("got %v, want the page first and the icon last", first)
		}
		if err := n.order(order{Do: exchange, Seed: 1, Down: 4 << 20}); err != nil {
			t.Error(err)
		}
		if got := v.paths(); len(got) != len(first) {
			t.Errorf("got %v, want one visit", got)
		}
	})
}

func TestNoPageIsAskedForWhereNoneIsWanted(t *testing.T) {
	for name, change := range map[string]func(*client.Config){
		"the client does not": func(c *client.Config) { c.Visit = false },
		"the front says so":   func(c *client.Config) { c.Link.Fronts[0].NoVisit = true },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				v := &visitors{handler: site.Handler()}
				w.visited(v, change).ready()
				if got := v.paths(); len(got) > 0 {
					t.Errorf("got %v", got)
				}
			})
		})
	}
}

// Whatever a website does, it delays the first socket by 2 s at most, and no second one.
func TestNoWebsiteKeepsTheSocketWaiting(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	io.CopyN(z, zeros{}, 64<<20)
	z.Close()
	for name, answer := range map[string]http.HandlerFunc{
		"silent":  func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"no page": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		"elsewhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://198.51.100.1/", http.StatusFound)
		},
		"cuts": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			io.Copy(w, zeros{})
		},
		"a bomb": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(bomb.Bytes())
		},
		"halts within": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, strings.Repeat(`<img src="https://198.51.100.1/a.png"><script src="/b.js"></script>`, 100))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
		"drips": func(w http.ResponseWriter, r *http.Request) {
			for {
				select {
				case <-r.Context().Done():
					return
				case <-time.After(100 * time.Millisecond):
					w.Write([]byte("x"))
					w.(http.Flusher).Flush()
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				v := &visitors{handler: http.HandlerFunc(answer)}
				began := time.Now()
				n := w.visited(v, nil).ready()
				if took := time.Since(began); took > 2*time.Second+4*150*time.Millisecond {
					t.Errorf("connected after %v", took)
				}
				if _, err := n.chat().ping(patience); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// A front that is silent for its page costs no more time than it does for a socket, and who waits already does not wait
// for the page of the next.
func TestASilentFrontIsNotWaitedForTwice(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := &visitors{handler: site.Handler()}
		o := w.origin(func(c *origin.Config) { c.Site = v })
		bad, good := w.forward(o.addr), w.forward(o.addr)
		bad.deaf.Store(true)
		began := time.Now()
		w.clientOf(client.Config{Link: &link.Link{Keys: w.master.Client(1), Fronts: []link.Front{w.front(bad.addr()), w.front(good.addr())}}, Visit: true}).ready()
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("connected by the second front after %v", took)
		}
		time.Sleep(5 * time.Second)
		if v.count("/") != 1 {
			t.Errorf("got %v, want the good front's page", v.paths())
		}
	})
}

// shortLived counts what connections bring that end within a minute, as those of visits do.
type shortLived struct {
	mu  sync.Mutex // guards the following
	all []*counted
}

type counted struct {
	net.Conn
	began, ended time.Time
	brought      int
}

func (s *shortLived) dialer(w *world) *front.Dialer {
	return &front.Dialer{Connect: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := w.net.dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		one := &counted{Conn: c, began: time.Now()}
		s.all = append(s.all, one)
		return one, nil
	}}
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.brought += n
	return n, err
}

func (c *counted) Close() error {
	c.ended = time.Now()
	return c.Conn.Close()
}

// mostInAnHour is what those brought in the worst hour.
func (s *shortLived) mostInAnHour() (most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = slices.DeleteFunc(s.all, func(c *counted) bool { return c.ended.Sub(c.began) > time.Minute })
	for i, from := range s.all {
		sum := 0
		for _, c := range s.all[i:] {
			if c.ended.Sub(from.began) < time.Hour {
				sum += c.brought
			}
		}
		most = max(most, sum)
	}
	return most
}

// A client that is used for hours visits again and again; one that nobody uses does not. What visits bring stays below
// 100 kB in any hour, with all that TLS takes, though the website is larger than that.
func TestVisitsCostLittle(t *testing.T) {
	for name, c := range map[string]struct {
		used bool
		size int
	}{"used": {true, 2000}, "not used": {false, 2000}, "a large website": {true, 150_000}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				text := append([]byte("<p>"), bytes.Repeat([]byte("x"), c.size)...)
				v := &visitors{handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", "text/html")
					w.Header().Set("Cache-Control", "no-store")
					w.Write(text)
				})}
				var conns shortLived
				n := w.visited(v, func(cfg *client.Config) { cfg.Dialer = conns.dialer(w) }).ready()
				const hours = 12
				for range hours * 6 {
					<-time.After(10 * time.Minute)
					if c.used {
						if _, err := n.chat().ping(patience); err != nil {
							t.Fatal(err)
						}
					}
				}
				n.stop()
				pages, most := v.count("/"), conns.mostInAnHour()
				switch {
				case !c.used && pages != 1:
					t.Errorf("got %d visits, want one before the first socket", pages)
				case c.used && (pages < hours/2 || pages > 4*hours):
					t.Errorf("got %d visits in %d hours", pages, hours)
				case most == 0 || most >= 100_000:
					t.Errorf("they brought %d bytes within an hour", most)
				}
				t.Logf("%d visits in %d hours, at most %d bytes in one", pages, hours, most)
			})
		})
	}
}

// A site's cookies go along with the request for a socket, before ours; a site that refuses it is asked without them.
func TestASitesCookiesGoWithTheRequestForASocket(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		sent := make(chan string, 100)
		v := &visitors{handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Upgrade") != "" {
				names := []string{}
				for _, c := range r.Cookies() {
					names = append(names, c.Name)
				}
				sent <- strings.Join(names, " ")
			}
			for _, name := range []string{"visitor", wire.TokenCookie, wire.TicketCookie} {
				http.SetCookie(w, &http.Cookie{Name: name, Value: "v", Path: "/"})
			}
		})}
		w.visited(v, func(c *client.Config) { c.Link.Keys = seal.NewMaster().Client(1) }) // nobody's, so that the website sees it
		for _, want := range []string{"visitor " + wire.TokenCookie, wire.TokenCookie} {
			if got := <-sent; got != want {
				t.Errorf("got the cookies %s, want %s", got, want)
			}
		}
	})
}
