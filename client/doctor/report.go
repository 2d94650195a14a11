// Package doctor finds out what is wrong on the way of the app's connections,
// hop by hop, and says what to try. Whoever asks gets a Report, and hears of
// each Check as it comes, and prints or sends either as they like: no text of a
// check names a front or an address, so that reports may be shown to others.
package doctor

import (
	"errors"
	"slices"
	"time"
)

// Hop is a part of the way, as reports spell it.
type Hop string

// The hops, in the order of the way. A link is checked once, those from Network
// to Path for each front, and then comes what the app needs. An origin's shares are looked at on its machine.
const (
	Link      Hop = "link"
	Network   Hop = "network"
	TLS       Hop = "tls"
	Gate      Hop = "gate"
	Origin    Hop = "origin"
	Path      Hop = "path"
	Chat      Hop = "chat"
	MediaDown Hop = "media_down"
	MediaUp   Hop = "media_up"
	Shares    Hop = "shares"
)

// Services are the hops that the app needs.
var Services = []Hop{Chat, MediaDown, MediaUp}

// ofFront are the hops of each front.
var ofFront = append([]Hop{Network, TLS, Gate, Origin, Path}, Services...)

// Status is how a check went.
type Status string

// The statuses. A hop is skipped if one before it failed; but for Path, after which
// services may work.
const (
	Passed  Status = "ok"
	Failed  Status = "failed"
	Skipped Status = "skipped"
)

// Check is what was found of one hop. Its JSON is described in the help of
// "culvert doctor", and only ever gets more fields.
type Check struct {
	Front   int     `json:"front,omitempty"` // its number from 1; 0 where there is none
	Hop     Hop     `json:"hop"`
	Status  Status  `json:"status"`
	MS      float64 `json:"ms,omitempty"`      // how long it took
	Detail  string  `json:"detail,omitempty"`  // what was seen
	Problem string  `json:"problem,omitempty"` // what is wrong, if it failed
	Try     string  `json:"try,omitempty"`     // what to try then, if we know
	Cause   Cause   `json:"cause,omitempty"`   // what was met; a hop that works may have one, too
	Bytes   int64   `json:"bytes,omitempty"`   // that came before a connection was Frozen or cut
	KBits   int     `json:"kbit_s,omitempty"`  // kbit/s that pass, if that is Slow
	Seconds int     `json:"idle_s,omitempty"`  // of rest before IdleCut

	// Connections within a minute are answered; the next is not.
	Connections int `json:"connections,omitempty"`

	Expires    string `json:"expires,omitempty"` // when the certificate ends that was seen, RFC 3339
	LeafSerial uint64 `json:"leaf_serial,omitempty"`
	HTTPStatus int    `json:"http_status,omitempty"`

	Limits []Limit `json:"limits,omitempty"` // of an origin's shares
}

// Took is how long the check took.
func (c Check) Took() time.Duration { return time.Duration(c.MS * float64(time.Millisecond)) }

// milliseconds has three decimals.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Report is all that was found, and what it comes to: whoever examined calls
// Judge, which sets OK and Verdict. Its JSON is what "culvert doctor --json"
// prints.
type Report struct {
	Version int     `json:"version"` // 1
	Mode    string  `json:"mode"`    // "link" or "direct"
	OK      bool    `json:"ok"`
	Verdict Verdict `json:"verdict"`
	Checks  []Check `json:"checks"`

	Fronting []Combination `json:"fronting,omitempty"` // what whoever examined has asked of Fronting, too
}

// Verdict says what works by one front at least.
type Verdict struct {
	Chat      bool `json:"chat"`
	MediaDown bool `json:"media_down"`
	MediaUp   bool `json:"media_up"`
}

// Modes of a report.
const (
	ByLink   = "link"
	Directly = "direct"
)

func newReport(mode string) *Report { return &Report{Version: 1, Mode: mode} }

func (r *Report) add(tell Listener, c Check) {
	r.Checks = append(r.Checks, c)
	tell.Check(c)
}

// By lists the fronts by which a hop is passed. Where there is no front, as in
// a direct report, 0 stands for it.
func (r *Report) By(hop Hop) (fronts []int) {
	for _, c := range r.Checks {
		if c.Hop == hop && c.Status == Passed {
			fronts = append(fronts, c.Front)
		}
	}
	return fronts
}

// ErrUnwell and ErrPartly are what is wrong with the whole: a service works by
// no front, or a front does not work where every front was wanted.
var (
	ErrUnwell = errors.New("not all of chat, media down and media up work")
	ErrPartly = errors.New("not every front works")
)

// Judge sets Verdict and OK and returns ErrUnwell, ErrPartly or nil. Where every
// front is wanted any failure is wrong.
func (r *Report) Judge(every bool) error {
	r.Verdict = Verdict{len(r.By(Chat)) > 0, len(r.By(MediaDown)) > 0, len(r.By(MediaUp)) > 0}
	hasFailed := slices.ContainsFunc(r.Checks, func(c Check) bool { return c.Status == Failed })
	switch {
	case r.Verdict != Verdict{true, true, true}:
		return ErrUnwell
	case every && hasFailed:
		return ErrPartly
	}
	r.OK = true
	return nil
}
