package nearend

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"culvert/client"
	"culvert/internal/term"
)

func TestTheStatusSaysWhatCarriesAndWhyTheLastCarrierEnded(t *testing.T) {
	t.Parallel()
	one := []client.Way{{Front: 0, Tunnels: 2}}
	two := append(one, client.Way{Front: 1, Gateway: true, Tunnels: 3})
	silent := client.LastEnd{Cause: client.Silent, Front: 1, Lived: 41 * time.Second, At: begin}
	for name, c := range map[string]struct {
		status client.Status
		fronts int
		after  time.Duration
		want   string
	}{
		"one way":          {client.Status{Ways: one}, 2, 0, "1 carrier"},
		"two ways":         {client.Status{Ways: two}, 2, 0, "1 carrier, front 1 carries 2 and front 2 (gateway door) carries 3"},
		"the gateway door": {client.Status{Ways: two[1:]}, 1, 0, "1 carrier, the gateway door carries 3"},
		"an end":           {client.Status{LastEnd: silent}, 2, time.Minute, "1 carrier, last carrier by front 2 ended after 41 s: silent"},
		"of one front":     {client.Status{LastEnd: silent}, 1, time.Minute, "1 carrier, last carrier ended after 41 s: silent"},
		"an end long ago":  {client.Status{LastEnd: silent}, 2, time.Hour, "1 carrier"},
		"an end of ours":   {client.Status{LastEnd: client.LastEnd{Cause: client.EndedHere, At: begin}}, 2, 0, "1 carrier"},
	} {
		c.status.Connected, c.status.Carriers = true, 1
		var b bytes.Buffer
		w := (&told{status: c.status}).watcher(term.NewTestConsole(&b, false))
		w.Fronts = c.fronts
		w.update(begin.Add(c.after))
		if got := strings.TrimSuffix(b.String(), "\n"); !strings.HasSuffix(got, "down 0 B, "+c.want) {
			t.Errorf("%s: got %q, want it to end with %q", name, got, c.want)
		}
	}
}
