package front

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"culvert/client/look"
	"culvert/internal/link"
)

// lookSeen names the look of a ClientHello: Chromium's begins its ciphers with one that means nothing.
func lookSeen(hello []byte) string {
	const ciphers = 5 + 4 + 2 + 32 + 1 + 32 + 2
	if hello[ciphers]&0x0f == 0x0a && hello[ciphers] == hello[ciphers+1] {
		return "chromium"
	}
	return "firefox"
}

// censored is a network in which a look is banned. It keeps which came.
type censored struct {
	banned string
	does   behaviour // to the look that is banned

	mu   sync.Mutex // guards the following
	came []string
}

func (n *censored) connect(context.Context, string, string) (net.Conn, error) {
	near, far := pipe()
	go func() {
		defer far.Close()
		hello, err := readHello(far)
		if err != nil {
			return
		}
		seen := lookSeen(hello)
		n.mu.Lock()
		n.came = append(n.came, seen)
		n.mu.Unlock()
		switch {
		case seen != n.banned:
			greet(greets, &replayed{far, hello}, worldCertificate(), nil)
		case n.does == isSilent:
			io.Copy(io.Discard, far)
		case n.does == isAnother:
			greet(isAnother, &replayed{far, hello}, worldCertificate(), nil)
		}
	}()
	return near, nil
}

func TestTheNextLookComesAfterFailuresThatFitABan(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		does   behaviour
		named  bool // somebody has named the look
		opened int  // the first that succeeds of some; 0: none
	}{
		"silence":                     {isSilent, false, 3},
		"resets":                      {resets, false, 3},
		"another certificate":         {isAnother, false, 0},
		"silence, and a look by name": {isSilent, true, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := pinnedTo("192.0.2.1")
			n := &censored{does: c.does}
			d := &Dialer{Connect: n.connect}
			n.banned = d.firstLook(f).Name()
			if c.named {
				d.Look = n.banned
			}
			opened := 0
			for i := range 5 {
				if err := open(t, d, f); err == nil && opened == 0 {
					opened = i + 1
				}
			}
			if opened != c.opened {
				t.Errorf("%s: got the first success at try %d, want %d; looks %v", name, opened, c.opened, n.came)
			}
			if kept := d.LookOf(f); (kept == "") != (c.opened == 0) {
				t.Errorf("%s: got look %q to be kept", name, kept)
			}
		})
	}
}

// The look of an https proxy gives way as that of a front does, unless somebody has named it.
func TestTheNextLookComesToAProxyToo(t *testing.T) {
	t.Parallel()
	for _, named := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			u := &url.URL{Scheme: "https", Host: "192.0.2.9:443"}
			n := &censored{does: resets}
			d := &Dialer{Connect: n.connect}
			first := d.firstLook(link.Front{Host: u.Host})
			if n.banned = first.Name(); named {
				d.Look = n.banned
			}
			for range 3 {
				if c, err := d.toProxy(t.Context(), u, new(proxyFails)); err == nil {
					c.Close()
					t.Error("a certificate is believed that nobody vouches for")
				}
			}
			want := []string{first.Name(), first.Name(), first.Next().Name()}
			if named {
				want[2] = first.Name()
			}
			if !slices.Equal(n.came, want) {
				t.Errorf("got looks %v, want %v", n.came, want)
			}
		})
	}
}

// Several connections of one Open to a proxy are one failure, as for a front.
func TestTheLookOfAProxyStaysForAllOfAnOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := &url.URL{Scheme: "https", Host: "192.0.2.9:443"}
		n := &censored{does: resets}
		d := &Dialer{Connect: n.connect, lookup: noLookup(t), Proxy: proxyAt(t, u.String())}
		first := d.firstLook(link.Front{Host: u.Host}).Name()
		n.banned = first
		if err := open(t, d, pinnedTo("front.example", "a.example:443", "b.example:443", "c.example:443")); err == nil {
			t.Error("got a front, want none")
		}
		if want := []string{first, first, first}; !slices.Equal(n.came, want) {
			t.Errorf("got looks %v, want %v", n.came, want)
		}
	})
}

// openAtOnce opens f so many times at once, and reports how many failed.
func openAtOnce(t *testing.T, d *Dialer, f link.Front, times int) int {
	t.Helper()
	var all sync.WaitGroup
	var failed atomic.Int32
	for range times {
		all.Go(func() {
			if open(t, d, f) != nil {
				failed.Add(1)
			}
		})
	}
	all.Wait()
	return int(failed.Load())
}

// Opens that fail at once are of one look, and have the next one come once.
func TestTheNextLookComesOnceThoughSeveralOpensFailAtOnce(t *testing.T) {
	t.Parallel()
	for _, times := range []int{2, 3, 4, 5} {
		synctest.Test(t, func(t *testing.T) {
			f := pinnedTo("192.0.2.1")
			n := &censored{does: isSilent}
			d := &Dialer{Connect: n.connect}
			n.banned = d.firstLook(f).Name()
			if got := openAtOnce(t, d, f, times); got != times {
				t.Errorf("got %d of %d failed, want all", got, times)
			}
			for range 3 {
				if got := openAtOnce(t, d, f, times); got != 0 {
					t.Errorf("got %d of %d failed once the next look had come, want none; looks %v", got, times, n.came)
				}
			}
		})
	}
}

// An Open that began by the look before says nothing of the one that came meanwhile.
func TestALookThatHasNotWorkedIsNotKept(t *testing.T) {
	t.Parallel()
	d, f := &Dialer{}, pinnedTo("192.0.2.1")
	m := d.memory(f)
	before := m.current()
	for range maxBanned {
		m.failed(before, 1)
	}
	now := m.current()
	if now.look != before.look.Next() || now.tickets == before.tickets {
		t.Errorf("got look %s, want the next one with tickets of its own", now.look.Name())
	}
	m.worked(before, false)
	m.failed(before, maxBanned)
	if got := d.LookOf(f); got != "" || m.current() != now {
		t.Errorf("got look %q to be kept, now %s, want none before it has worked", got, m.current().look.Name())
	}
	m.worked(now, false)
	if got := d.LookOf(f); got != now.look.Name() {
		t.Errorf("got look %q to be kept, want %s, which has worked", got, now.look.Name())
	}
}

func TestALookThatWorksIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &censored{}
		d, f := &Dialer{Connect: n.connect}, pinnedTo("192.0.2.1")
		for range 5 {
			if err := open(t, d, f); err != nil {
				t.Fatal(err)
			}
		}
		for _, seen := range n.came {
			if seen != n.came[0] {
				t.Errorf("got looks %v, want one", n.came)
			}
		}
	})
}

// Somebody who gives up, as when another front was faster, says nothing of the look.
func TestGivingUpIsNoBan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := pinnedTo("192.0.2.1")
		n := &censored{does: isSilent}
		d := &Dialer{Connect: n.connect}
		n.banned = d.firstLook(f).Name()
		for range 5 {
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				synctest.Wait()
				cancel()
			}()
			if _, _, err := Open(ctx, d, f, readGreeting); err == nil {
				t.Error("got a front, want none")
			}
		}
		if got := d.LookOf(f); got != "" {
			t.Errorf("got look %s, want the first", got)
		}
	})
}

// Firefox offers a cipher that Chromium does not.
func TestALookThatDoesNotSuitAFrontIsReplacedAtOnce(t *testing.T) {
	t.Parallel()
	for _, times := range []int{1, 2, 3} {
		synctest.Test(t, func(t *testing.T) {
			f := pinnedTo("192.0.2.1")
			d := &Dialer{Connect: func(context.Context, string, string) (net.Conn, error) {
				near, far := pipe()
				go func() {
					defer far.Close()
					time.Sleep(time.Millisecond) // of synctest's clock: those that come at once have one look
					c := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{worldCertificate()}, MaxVersion: tls.VersionTLS12,
						CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA}})
					if c.Handshake() == nil {
						io.WriteString(c, "hi")
					}
				}()
				return near, nil
			}}
			for d.LookKey = []byte{0}; d.firstLook(f).Name() != "firefox"; d.LookKey[0]++ {
			}
			d.SetLook(f, "chromium")
			if openAtOnce(t, d, f, times) != times {
				t.Error("Chromium's look suits now: this test has no reason any more")
			}
			if got := openAtOnce(t, d, f, times); got != 0 {
				t.Errorf("got %d of %d failed, want the next look to suit", got, times)
			}
		})
	}
}

func TestALookIsOfTheUserAndTheFront(t *testing.T) {
	t.Parallel()
	seen := make(map[string]int)
	for i := range 200 {
		d := &Dialer{LookKey: []byte{byte(i)}}
		f := pinnedTo("192.0.2.1")
		first := d.firstLook(f)
		seen[first.Name()]++
		if again := (&Dialer{LookKey: d.LookKey}).firstLook(f); again != first {
			t.Error("got another look for the same user and front")
		}
	}
	if len(seen) != len(look.Names()) || seen["chromium"] < seen["firefox"] {
		t.Errorf("got %v for 200 users, want most of them Chromium's", seen)
	}
}

func TestALookIsTheOneThatIsNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ dialer, front, want string }{
		{"firefox", "chromium", "firefox"}, {"", "firefox", "firefox"}, {"", "chromium", "chromium"}, {"", "opera", ""},
	} {
		d, f := &Dialer{Look: c.dialer}, link.Front{Host: "front.example", Look: c.front}
		want := c.want
		if want == "" {
			want = (&Dialer{}).firstLook(f).Name()
		}
		if got := d.memory(f).current().look.Name(); got != want {
			t.Errorf("%+v: got %s, want %s", c, got, want)
		}
		d.SetLook(f, "chromium")
		if got := d.memory(f).current().look.Name(); c.want != "" && got != c.want {
			t.Errorf("%+v: got %s after another was learned, want %s", c, got, c.want)
		}
	}
	if name, err := ParseLook(AutoLook); name != "" || err != nil {
		t.Errorf("got %q, %v for auto", name, err)
	}
	if _, err := ParseLook("go"); err != look.ErrUnknown {
		t.Errorf("got %v, want %v", err, look.ErrUnknown)
	}
}
