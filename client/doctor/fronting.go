package doctor

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"culvert/client"
	"culvert/client/front"
	"culvert/internal/link"
)

// Combination is one front's way to an edge with what another asks for there.
type Combination struct {
	Way     int    `json:"way"`               // number of the front whose addresses, name and certificate are used
	NoName  bool   `json:"no_name,omitempty"` // no name is sent in the clear
	Inside  int    `json:"inside"`            // number of the front whose host, path and door are asked for
	Status  Status `json:"status"`            // Passed: the origin's gate lets in
	Hop     Hop    `json:"hop,omitempty"`     // where it failed
	Problem string `json:"problem,omitempty"`

	Front link.Front `json:"-"` // how a link spells it
}

const (
	// maxCombinations bounds those that are tried: each is a connection.
	maxCombinations = 64
	// atOnce bounds those that are tried at the same time.
	atOnce = 4
)

// Fronting tries the names of each front with the hosts of all, with the name in the clear and without,
// as far as the gate; but not the fronts as they are, which Examine tries. It takes as long as ctx allows.
// More than 64 are not tried.
func Fronting(ctx context.Context, l *link.Link, d *front.Dialer) (all []Combination) {
	all = combinations(l.Fronts)
	room := make(chan struct{}, atOnce)
	var group sync.WaitGroup
	for i := range all {
		group.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			all[i].try(ctx, l, d)
		})
	}
	group.Wait()
	return all
}

// combinations are those that are worth trying, each once.
func combinations(fronts []link.Front) (all []Combination) {
	var seen []string
	for _, f := range fronts {
		seen = append(seen, spell(f))
	}
	for i, way := range fronts {
		for j, inside := range fronts {
			for _, noName := range []bool{false, true} {
				c := Combination{Way: i + 1, NoName: noName, Inside: j + 1, Front: combine(way, inside, noName)}
				if text := spell(c.Front); !slices.Contains(seen, text) && len(all) < maxCombinations {
					seen, all = append(seen, text), append(all, c)
				}
			}
		}
	}
	return all
}

// combine is one front's way to another's inside.
func combine(way, inside link.Front, noName bool) link.Front {
	f := link.Front{
		Host: inside.Host, Path: inside.Path, Gateway: inside.Gateway,
		Dial: way.Addrs(), SNI: way.ServerName(), Verify: way.VerifyName(), Pins: way.Pins, ECH: way.ECH,
	}
	if noName || f.SNI == "" {
		f.SNI, f.NoSNI, f.ECH = "", true, nil
	}
	return f
}

// spell is the one spelling of f.
func spell(f link.Front) string {
	if clean, err := link.ParseFront(f.String()); err == nil {
		return clean.String()
	}
	return f.String()
}

// try goes to the gate.
func (c *Combination) try(ctx context.Context, l *link.Link, d *front.Dialer) {
	c.Status, c.Hop = Failed, Network
	if ctx.Err() != nil {
		c.Status, c.Problem = Skipped, "there was no time left"
		return
	}
	prober, err := client.New(client.Config{Link: &link.Link{Keys: l.Keys, Fronts: []link.Front{c.Front}}, Dialer: d})
	if err != nil {
		c.Problem = err.Error()
		return
	}
	seen := prober.Probe(ctx, 0)
	if seen.Passed() {
		c.Status, c.Hop = Passed, ""
		return
	}
	last := seen.Hops[len(seen.Hops)-1]
	c.Hop, c.Problem = Hop(last.Name), whyNoFronting(last.Err, seen.Status)
}

// whyNoFronting says what an answer means to such a request.
func whyNoFronting(err error, status int) string {
	switch {
	case status == http.StatusMisdirectedRequest:
		return "the CDN lets this name lead to no such host (HTTP status 421)"
	case status > 0 && status < 500:
		return fmt.Sprintf("another site answers (HTTP status %d)", status)
	}
	return err.Error()
}
