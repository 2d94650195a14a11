package main

import "slices"

// status is how a check went.
type status string

const (
	passed   status = "ok"
	failed   status = "failed"
	notTried status = "skipped"
)

// check is one hop. Its JSON is described in the command's help.
type check struct {
	Front      int     `json:"front,omitempty"`
	Hop        string  `json:"hop"`
	Status     status  `json:"status"`
	MS         float64 `json:"ms,omitempty"`
	Detail     string  `json:"detail,omitempty"`
	Problem    string  `json:"problem,omitempty"`
	Try        string  `json:"try,omitempty"`
	Expires    string  `json:"expires,omitempty"`
	LeafSerial uint64  `json:"leaf_serial,omitempty"`
	HTTPStatus int     `json:"http_status,omitempty"`
}

// report is all that a doctor found.
type report struct {
	Version int     `json:"version"`
	Mode    string  `json:"mode"`
	OK      bool    `json:"ok"`
	Verdict verdict `json:"verdict"`
	Checks  []check `json:"checks"`
}

type verdict struct {
	Chat      bool `json:"chat"`
	MediaDown bool `json:"media_down"`
	MediaUp   bool `json:"media_up"`
}

func newReport(mode string) *report { return &report{Version: 1, Mode: mode} }

func (r *report) add(tell teller, c check) {
	r.Checks = append(r.Checks, c)
	tell.check(c)
}

// by is the fronts by which a hop is passed; 0 stands for none.
func (r *report) by(hop string) (fronts []int) {
	for _, c := range r.Checks {
		if c.Hop == hop && c.Status == passed {
			fronts = append(fronts, c.Front)
		}
	}
	return fronts
}

// judge returns what is wrong with the whole. Where every front is wanted, any
// failure is.
func (r *report) judge(every bool) error {
	r.Verdict = verdict{len(r.by("chat")) > 0, len(r.by("media_down")) > 0, len(r.by("media_up")) > 0}
	hasFailed := slices.ContainsFunc(r.Checks, func(c check) bool { return c.Status == failed })
	switch {
	case !r.Verdict.Chat, !r.Verdict.MediaDown, !r.Verdict.MediaUp:
		return errUnwell
	case every && hasFailed:
		return errPartly
	}
	r.OK = true
	return nil
}
