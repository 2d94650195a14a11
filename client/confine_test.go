package client

import (
	"context"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"culvert/client/front"
	"culvert/internal/link"
	"culvert/internal/seal"
)

// A front of a list whose name resolves to this machine is not dialled: not when the list comes, and not
// when it was kept.
func TestAListsNameLeadsIntoNoPrivateNetwork(t *testing.T) {
	t.Parallel()
	m, dir := seal.NewMaster(), filepath.Join(t.TempDir(), "state")
	l := &link.Link{Keys: m.Client(7), Fronts: []link.Front{{Host: "192.0.2.1", Path: "/"}, {Host: "a.example", Path: "/", Dial: []string{"localhost:8443"}}}}
	signed, err := listOf(1000, nil, "localhost").Sign(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"it comes", "it was kept"} {
		var mu sync.Mutex
		var dialled []string
		c, err := New(Config{Link: l, Keep: dir, Now: func() time.Time { return time.Unix(1000, 0) },
			Dialer: &front.Dialer{Connect: func(_ context.Context, _, address string) (net.Conn, error) {
				mu.Lock()
				defer mu.Unlock()
				dialled = append(dialled, address)
				return nil, errNo
			}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.stop)
		if when == "it comes" {
			c.onFronts(signed)
			c.tasks.Wait()
		}
		if n, _ := c.fronts.later(); n != 1 {
			t.Fatalf("%s: %d fronts of the list, want 1", when, n)
		}
		c.dialSocket(t.Context(), wanted{home: c.pool.current(), may: anyFront})
		isOther := func(address string) bool { return address != "192.0.2.1:443" && !strings.HasSuffix(address, ":8443") }
		if !slices.Contains(dialled, "192.0.2.1:443") || slices.ContainsFunc(dialled, isOther) {
			t.Errorf("%s: dialled %s, want the link's fronts alone", when, dialled)
		}
	}
}
