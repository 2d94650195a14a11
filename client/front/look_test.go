package front

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"testing"
	"testing/synctest"

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
	came   []string
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
		n.came = append(n.came, seen)
		switch {
		case seen != n.banned:
			greet(greets, &replayed{far, hello})
		case n.does == isSilent:
			io.Copy(io.Discard, far)
		case n.does == isAnother:
			greet(isAnother, &replayed{far, hello})
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

// The share of Firefox for P-256 is one that uTLS sends and cannot use.
func TestALookThatDoesNotSuitAFrontIsReplacedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := pinnedTo("192.0.2.1")
		d := &Dialer{Connect: func(context.Context, string, string) (net.Conn, error) {
			near, far := pipe()
			go func() {
				defer far.Close()
				c := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{worldCertificate()}, CurvePreferences: []tls.CurveID{tls.CurveP256}})
				if c.Handshake() == nil {
					io.WriteString(c, "hi")
				}
			}()
			return near, nil
		}}
		for d.LookKey = []byte{0}; d.firstLook(f).Name() != "chromium"; d.LookKey[0]++ {
		}
		d.SetLook(f, "firefox")
		if err := open(t, d, f); err == nil {
			t.Error("Firefox's look suits now: this test has no reason any more")
		}
		if err := open(t, d, f); err != nil {
			t.Errorf("got %v, want the next look to suit", err)
		}
	})
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
		if got := d.memory(f).current().Name(); got != want {
			t.Errorf("%+v: got %s, want %s", c, got, want)
		}
		d.SetLook(f, "chromium")
		if got := d.memory(f).current().Name(); c.want != "" && got != c.want {
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
