package front

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	truth     = "203.1.2.3" // where a front is
	lie       = "1.2.3.4"   // where the system says it is
	resolver1 = "9.9.9.9:443"
	resolver2 = "8.8.8.8:443"
)

// resolved is a network in which a front's name leads to a lie of the system's, unless it
// does not at all, and a resolver knows better.
func resolved() (*fakeNet, *fakeResolver) {
	r := &fakeResolver{names: map[string]string{"front.example.": truth, "hung.example.": truth, "missing.example.": truth}}
	n := &fakeNet{
		names:     map[string][]string{"front.example": {lie}},
		alive:     map[string]site{truth + ":443": {}},
		dead:      make(map[string]bool),
		resolvers: map[string]*fakeResolver{resolver1: r},
	}
	return n, r
}

func (n *fakeNet) asking(resolvers ...string) *Dialer {
	d := n.dialer()
	for _, address := range resolvers {
		d.Resolvers = append(d.Resolvers, resolverAt(address))
	}
	return d
}

// What the resolver has said is kept while it is good: nobody is asked again.
func TestAResolverIsAskedWhenTheSystemFailsOrLies(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		host string
		lie  site
		dead bool
		most time.Duration
	}{
		"no such name":        {host: "missing.example"},
		"no answer":           {host: "hung.example", most: askAfter + 300*time.Millisecond},
		"another certificate": {host: "front.example", lie: site{does: isAnother}},
		"silent TLS":          {host: "front.example", lie: site{does: isSilent}, most: silentTLS},
		"reset TLS":           {host: "front.example", lie: site{does: resets}},
		"refused":             {host: "front.example", dead: true},
		"silent TCP":          {host: "front.example", lie: site{takes: time.Hour}, most: stepTimeout},
	} {
		synctest.Test(t, func(t *testing.T) {
			n, r := resolved()
			n.alive[lie+":443"], n.dead[lie+":443"] = c.lie, c.dead
			d := n.asking(resolver1)
			for i, most := range []time.Duration{c.most, 0} {
				n.clear()
				start := time.Now()
				if err := open(t, d, pinnedTo(c.host)); err != nil {
					t.Errorf("%s: got %v, want the resolver's address", name, err)
				}
				if got := time.Since(start); got > most {
					t.Errorf("%s, time %d: took %v, want at most %v", name, i+1, got, most)
				}
			}
			if got := n.log(); got != truth+":443" || r.count() != 3 {
				t.Errorf("%s: got %d questions, and the second time %s dialed; want A, AAAA and HTTPS once, and the good address alone", name, r.count(), got)
			}
		})
	}
}

// An address that a resolver gave is left when it fails, for what the system says now.
func TestTheSystemIsAskedAgainWhenAResolversAddressFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, r := resolved()
		n.dead[lie+":443"] = true
		d := n.asking(resolver1)
		if err := open(t, d, pinnedTo("front.example")); err != nil {
			t.Fatal(err)
		}
		n.names["front.example"], n.alive["203.1.2.4:443"], n.dead[truth+":443"] = []string{"203.1.2.4"}, site{}, true
		for _, want := range []string{truth + ":443 203.1.2.4:443", "203.1.2.4:443"} {
			n.clear()
			if err := open(t, d, pinnedTo("front.example")); err != nil || n.log() != want {
				t.Errorf("got %v by %s, want %s", err, n.log(), want)
			}
		}
		if r.count() != 3 {
			t.Errorf("got %d questions, want no more than those of the first time", r.count())
		}
	})
}

// A front that is down is dialled again and again.
func TestWhatAResolverSaidIsNotAskedForAgainWithinAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, r := resolved()
		n.dead[lie+":443"], n.dead[truth+":443"] = true, true
		d := n.asking(resolver1)
		for i, want := range []int{3, 3, 6} {
			if err := open(t, d, pinnedTo("front.example")); err == nil || r.count() != want {
				t.Errorf("time %d: got %v and %d questions in all, want an error and %d", i+1, err, r.count(), want)
			}
			time.Sleep(answersLast - time.Second) // of synctest's clock
		}
	})
}

// An answer of the system's that TLS bears out is no lie, whatever follows.
func TestNoResolverIsAskedWhileTheSystemsWorks(t *testing.T) {
	t.Parallel()
	for name, is := range map[string][]site{
		"good":                     {{takes: 2500 * time.Millisecond}},
		"second address good":      {{does: resets}, {}},
		"cut after TLS":            {{does: cutsInTLS}},
		"silent after TLS":         {{does: isSilentInTLS}},
		"refuses":                  {{does: refuses}},
		"large ClientHellos reset": {{does: resetsLarge}},
		"a lie beside what is cut": {{does: cutsInTLS}, {does: isAnother}},
	} {
		synctest.Test(t, func(t *testing.T) {
			n, r := resolved()
			n.names["front.example"] = nil
			for i, s := range is {
				address := []string{"1.2.3.4", "1.2.3.5"}[i]
				n.names["front.example"] = append(n.names["front.example"], address)
				n.alive[address+":443"] = s
			}
			open(t, n.asking(resolver1), pinnedTo("front.example"))
			if r.count() > 0 || strings.Contains(n.log(), resolver1) {
				t.Errorf("%s: got %s dialed and %d questions, want no resolver asked", name, n.log(), r.count())
			}
		})
	}
}

func TestNoResolverIsAskedForAFrontWithoutNames(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, r := resolved()
		n.dead[lie+":443"] = true
		if err := open(t, n.asking(resolver1), pinnedTo("front.example", lie+":443")); err == nil || r.count() > 0 {
			t.Errorf("got %v and %d questions, want an error and none", err, r.count())
		}
	})
}

// badAnswers are what a resolver may send in place of a good answer, and what is said then.
var badAnswers = map[string]struct {
	spoil func(w http.ResponseWriter, r *http.Request, m *dnsmessage.Message)
	want  string
}{
	"huge": {func(w http.ResponseWriter, _ *http.Request, _ *dnsmessage.Message) {
		for range 100 {
			w.Write(make([]byte, 1<<20))
		}
	}, "too large an answer"},
	"cut in HTTP": {func(w http.ResponseWriter, _ *http.Request, m *dnsmessage.Message) {
		w.Header().Set("Content-Length", "400")
		w.(http.Flusher).Flush()
	}, "cut off"},
	"cut in DNS": {func(w http.ResponseWriter, _ *http.Request, m *dnsmessage.Message) {
		b, _ := m.Pack()
		w.Write(b[:len(b)-1])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}, "cut off"},
	"truncated":     {func(_ http.ResponseWriter, _ *http.Request, m *dnsmessage.Message) { m.Truncated = true }, "cut off"},
	"of another ID": {func(_ http.ResponseWriter, _ *http.Request, m *dnsmessage.Message) { m.ID = 7 }, "another question"},
	"no answer":     {func(_ http.ResponseWriter, _ *http.Request, m *dnsmessage.Message) { m.Response = false }, "another question"},
	"to another question": {func(_ http.ResponseWriter, _ *http.Request, m *dnsmessage.Message) {
		m.Questions[0].Name = dnsmessage.MustNewName("evil.example.")
	}, "another question"},
	"to two questions": {func(_ http.ResponseWriter, _ *http.Request, m *dnsmessage.Message) {
		m.Questions = append(m.Questions, m.Questions[0])
	}, "another question"},
	"about another name": {func(_ http.ResponseWriter, _ *http.Request, m *dnsmessage.Message) {
		m.Answers = []dnsmessage.Resource{aRecord("evil.example.", truth)}
	}, "no address"},
	"aliases in a circle": {func(_ http.ResponseWriter, _ *http.Request, m *dnsmessage.Message) {
		m.Answers = []dnsmessage.Resource{alias("front.example.", "a.example."), alias("a.example.", "front.example.")}
	}, "in a circle"},
	"of endless records": {func(_ http.ResponseWriter, _ *http.Request, m *dnsmessage.Message) {
		for range 300 {
			m.Answers = append(m.Answers, aRecord("front.example.", truth))
		}
	}, "too large an answer"},
	"no such name": {func(_ http.ResponseWriter, _ *http.Request, m *dnsmessage.Message) {
		m.RCode, m.Answers = dnsmessage.RCodeNameError, nil
	}, "no such name"},
	"a failure": {func(_ http.ResponseWriter, _ *http.Request, m *dnsmessage.Message) {
		m.RCode = dnsmessage.RCodeServerFailure
	}, "cannot look the name up"},
	"a redirection": {func(w http.ResponseWriter, _ *http.Request, _ *dnsmessage.Message) {
		w.Header().Set("Location", "https://evil.example/")
		w.WriteHeader(http.StatusFound)
	}, "as one over HTTPS does"},
	"a website": {func(w http.ResponseWriter, _ *http.Request, _ *dnsmessage.Message) {
		w.Header().Set("Content-Type", "text/html")
	}, "as one over HTTPS does"},
	"a cut":   {func(http.ResponseWriter, *http.Request, *dnsmessage.Message) { panic(http.ErrAbortHandler) }, "breaks the connection off"},
	"silence": {func(_ http.ResponseWriter, r *http.Request, _ *dnsmessage.Message) { <-r.Context().Done() }, "in time"},
	"a private address": {func(_ http.ResponseWriter, _ *http.Request, m *dnsmessage.Message) {
		if len(m.Answers) > 0 {
			m.Answers[0] = aRecord("front.example.", "192.168.1.1")
		}
	}, "private network"},
}

func TestABadAnswerIsSaidInOneLineAndTheNextResolverAsked(t *testing.T) {
	t.Parallel()
	for name, bad := range badAnswers {
		for _, old := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				n, good := resolved()
				n.dead[lie+":443"] = true
				n.resolvers[resolver2] = &fakeResolver{names: good.names, bad: bad.spoil, old: old}
				start := time.Now()
				err := open(t, n.asking(resolver2), pinnedTo("front.example"))
				checkError(t, name, err, bad.want)
				if got := time.Since(start); err == nil || strings.Count(err.Error(), "over HTTPS helps") != 1 || strings.Contains(err.Error(), "\n") || got > 6*time.Second {
					t.Errorf("%s: got %v after %v, want one line soon", name, err, got)
				}
				start = time.Now()
				if err := open(t, n.asking(resolver2, resolver1), pinnedTo("front.example")); err != nil || time.Since(start) > 2*time.Second {
					t.Errorf("%s: got %v after %v, want the next resolver's address", name, err, time.Since(start))
				}
			})
		}
	}
}

// HTTP/2 lets a server send no more than the client takes.
func TestAHugeAnswerIsNotRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, r := resolved()
		n.dead[lie+":443"] = true
		var sent atomic.Int64
		r.bad = func(w http.ResponseWriter, _ *http.Request, _ *dnsmessage.Message) {
			for err := error(nil); err == nil && sent.Load() < 100<<20; sent.Add(1 << 20) {
				_, err = w.Write(make([]byte, 1<<20))
			}
		}
		err := open(t, n.asking(resolver1), pinnedTo("front.example"))
		synctest.Wait()
		if got := sent.Load(); err == nil || got > 20<<20 {
			t.Errorf("got %v after %d MiB, want an error after some", err, got>>20)
		}
	})
}

func TestManySilentResolversAreGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, _ := resolved()
		n.dead[lie+":443"] = true
		var all []string
		for i := range 8 {
			all = append(all, fmt.Sprintf("9.9.9.%d:443", 100+i))
			n.resolvers[all[i]] = &fakeResolver{bad: badAnswers["silence"].spoil}
		}
		start := time.Now()
		err := open(t, n.asking(all...), pinnedTo("front.example"))
		checkError(t, "silence", err, "in time")
		if got := time.Since(start); got > 12*time.Second {
			t.Errorf("took %v, want 12 s at most", got)
		}
	})
}

func TestAResolverThatCannotBeReachedIsPassedOver(t *testing.T) {
	t.Parallel()
	for name, is := range map[string]behaviour{"another": isAnother, "silent": isSilent, "reset": resets, "cut": cutsInTLS} {
		synctest.Test(t, func(t *testing.T) {
			n, _ := resolved()
			n.dead[lie+":443"], n.alive[resolver2] = true, site{does: is}
			if err := open(t, n.asking(resolver2, resolver1), pinnedTo("front.example")); err != nil {
				t.Errorf("%s: got %v, want the next resolver's address", name, err)
			}
			err := open(t, n.asking(resolver2), pinnedTo("front.example"))
			checkError(t, name, err, "no resolver that was asked over HTTPS helps: one ")
		})
	}
}

// Who has a front at home says so by an address of it.
func TestAPrivateAddressIsBelievedOfAFrontThatHasOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, r := resolved()
		r.names["front.example."] = "192.168.1.1"
		n.alive["192.168.1.1:443"], n.dead[lie+":443"], n.dead["10.0.0.1:443"] = site{}, true, true
		if err := open(t, n.asking(resolver1), pinnedTo("front.example", "10.0.0.1:443", "front.example:443")); err != nil {
			t.Error(err)
		}
	})
}

func TestAliasesAreFollowed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, r := resolved()
		n.dead[lie+":443"] = true
		r.bad = func(_ http.ResponseWriter, _ *http.Request, m *dnsmessage.Message) {
			if len(m.Answers) > 0 {
				m.Answers = []dnsmessage.Resource{alias("Front.example.", "a.cdn.example."), aRecord("b.cdn.example.", truth), alias("a.cdn.example.", "B.cdn.example.")}
			}
		}
		if err := open(t, n.asking(resolver1), pinnedTo("front.example")); err != nil {
			t.Error(err)
		}
	})
}

// Where a proxy is the way out, it is given the resolvers' addresses, and what they say.
func TestResolversAndWhatTheySayAreReachedByTheProxy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, r := resolved()
		n.dead["front.example:443"] = true // the proxy's own resolver lies, too
		p := &pipeProxy{n: n}
		d := n.asking(resolver1)
		d.Connect, d.lookup, d.Proxy = p.connect, noLookup(t), proxyAt(t, "http://192.0.2.9:3128")
		for i, want := range []string{"9.9.9.9:443 9.9.9.9:443 9.9.9.9:443 front.example:443 203.1.2.3:443", "203.1.2.3:443"} {
			if err := open(t, d, pinnedTo("front.example")); err != nil {
				t.Fatal(err)
			}
			got := p.log()
			if slices.Sort(got); !slices.Equal(got, slices.Sorted(strings.FieldsSeq(want))) {
				t.Errorf("time %d: the proxy was asked for %s, want %s", i+1, got, want)
			}
		}
		if r.count() != 3 {
			t.Errorf("got %d questions, want A, AAAA and HTTPS", r.count())
		}
	})
}

// pipeProxy is an HTTP proxy of a fakeNet, at every address.
type pipeProxy struct {
	n *fakeNet

	mu    sync.Mutex // guards the following
	asked []string
}

// log is what was asked for since it was called last.
func (p *pipeProxy) log() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	asked := p.asked
	p.asked = nil
	return asked
}

func (p *pipeProxy) connect(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := pipe()
	go func() {
		defer far.Close()
		in := bufio.NewReader(far)
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		p.mu.Lock()
		p.asked = append(p.asked, req.Host)
		p.mu.Unlock()
		to, err := p.n.connect(ctx, "tcp", req.Host)
		if err != nil {
			io.WriteString(far, "HTTP/1.1 502 Bad Gateway\r\n\r\n")
			return
		}
		defer to.Close()
		io.WriteString(far, "HTTP/1.1 200 OK\r\n\r\n")
		go func() {
			io.Copy(to, in)
			to.Close()
		}()
		io.Copy(far, to)
	}()
	return near, nil
}
