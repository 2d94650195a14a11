package doctor

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Limit is how often an origin, since it started, has limited something by kind. Nothing says who it was.
type Limit struct {
	Of    string `json:"of"`    // tunnels, carriers, memory, texts, posts or connections
	Whose string `json:"whose"` // whose share was used up: a user's, a session's or a stranger's
	Did   string `json:"did"`   // "refused" to whoever asked, or "ended" for another
	Times uint64 `json:"times"`
}

// limitsWithin bounds the question.
const limitsWithin = 5 * time.Second

// AddLimits has the report say what the origin limits whose CULVERT_ADMIN_LISTEN is at, a host:port.
func (r *Report) AddLimits(ctx context.Context, at string, tell Listener) {
	began := time.Now()
	c := Check{Hop: Shares}
	limits, since, err := readLimits(ctx, at)
	c.MS = milliseconds(time.Since(began))
	switch c.Limits = limits; {
	case err != nil:
		c.Status, c.Cause, c.Problem = Failed, Other, "the origin does not say what it limits"
		c.Try = "let --admin be its CULVERT_ADMIN_LISTEN, and run this on its machine"
	case len(limits) == 0:
		c.Status, c.Detail = Passed, fmt.Sprintf("nothing was limited in %v", since)
	default:
		c.Status, c.Cause, c.Detail = Passed, SharesUsedUp, fmt.Sprintf("limited in %v: %s", since, limitsText(limits))
		c.Try = `see "When something is scarce" in docs/OPERATING.md`
	}
	r.add(tell, c)
}

// limitsText is limits for people, by whose they were.
func limitsText(all []Limit) string {
	var parts []string
	for _, whose := range []string{"user", "session", "stranger"} {
		var n uint64
		var of []string
		for _, l := range all {
			if l.Whose == whose {
				n += l.Times
				of = append(of, fmt.Sprintf("%s %s %d", l.Of, l.Did, l.Times))
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%ss' shares %d times (%s)", whose, n, strings.Join(of, ", ")))
		}
	}
	return strings.Join(parts, "; ")
}

// readLimits asks an origin for its metrics. since is how long it has run.
func readLimits(ctx context.Context, at string) (all []Limit, since time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, limitsWithin)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+"/metrics", nil)
	if err != nil {
		return nil, 0, err
	}
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(q) // by no proxy
	if err != nil {
		return nil, 0, err
	}
	defer res.Body.Close()
	return parseLimits(io.LimitReader(res.Body, 1<<20), time.Now())
}

var errNoLimits = errors.New("no metrics of an origin")

// parseLimits reads Prometheus' text.
func parseLimits(metrics io.Reader, now time.Time) (all []Limit, since time.Duration, err error) {
	known := false
	lines := bufio.NewScanner(metrics)
	for lines.Scan() {
		name, labels, n := metric(lines.Text())
		switch name {
		case "process_start_time_seconds":
			since = now.Sub(time.Unix(int64(n), 0)).Round(time.Second)
			continue
		case "culvert_shares_total":
			known = true
		case "culvert_strangers_displaced_total":
			labels = map[string]string{"of": "connections", "whose": "stranger", "did": "ended"}
		default:
			continue
		}
		if n >= 1 {
			all = append(all, Limit{labels["of"], labels["whose"], labels["did"], uint64(n)})
		}
	}
	if err = lines.Err(); err == nil && !known {
		err = errNoLimits
	}
	sort.Slice(all, func(i, j int) bool {
		a, b := all[i], all[j]
		return cmp.Or(cmp.Compare(a.Whose, b.Whose), cmp.Compare(a.Of, b.Of), cmp.Compare(a.Did, b.Did)) < 0
	})
	return all, since, err
}

// metric is what a line says: name{label="value",...} number.
func metric(line string) (name string, labels map[string]string, n float64) {
	full, number, _ := strings.Cut(line, " ")
	name, rest, _ := strings.Cut(full, "{")
	labels = map[string]string{}
	for pair := range strings.SplitSeq(strings.TrimSuffix(rest, "}"), ",") {
		label, value, _ := strings.Cut(pair, "=")
		labels[label] = strings.Trim(value, `"`)
	}
	n, _ = strconv.ParseFloat(number, 64)
	return name, labels, n
}
