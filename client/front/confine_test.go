package front

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/dial"
	"culvert/internal/link"
)

// A front that is confined is not dialled where it may not be, whatever its name resolves to, and whoever says so.
func TestAConfinedFrontLeadsIntoNoPrivateNetwork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &fakeNet{
			names: map[string][]string{"a.example": {"192.168.1.1", "::1", "93.184.216.34"}, "b.example": {"10.0.0.1", "fe80::1"}},
			alive: map[string]site{
				"192.168.1.1:443": {takes: time.Millisecond}, "10.0.0.1:443": {takes: time.Millisecond}, "[::1]:443": {}, "93.184.216.34:443": {takes: 10 * time.Millisecond},
			},
		}
		d := n.dialer()
		some, none := pinnedTo("front.example", "a.example:443"), pinnedTo("front.example", "b.example:443", "127.0.0.1:443")
		for _, f := range []link.Front{some, none} {
			d.Confine(f, dial.IsPublic)
		}
		if err := open(t, d, some); err != nil {
			t.Error(err)
		}
		if err := open(t, d, none); err == nil || strings.Contains(err.Error(), "10.0") {
			t.Errorf("got %v, want a refusal without addresses", err)
		}
		if got := n.log(); got != "93.184.216.34:443" {
			t.Errorf("it dialled %s, want the public address alone", got)
		}
		d.Confine(none, func(a netip.Addr) bool { return a == netip.MustParseAddr("10.0.0.1") })
		if err := open(t, d, none); err != nil {
			t.Errorf("an address that is allowed: got %v", err)
		}
	})
}
