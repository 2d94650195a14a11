package client

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"culvert/client/kept"
	"culvert/internal/link"
	"culvert/internal/seal"
)

// later keeps the list of fronts that came after the link, and says what is wrong with one.
type later struct {
	file *kept.File // nil: it is forgotten with the Client

	mu     sync.Mutex // guards the following
	said   []string   // why lists were ignored, each once
	signed []byte     // the newest list, to be kept
}

// openLater takes the list that was kept.
func (c *Client) openLater(pair *seal.Pair) {
	if c.cfg.Keep == "" || c.cfg.LinkAlone {
		return
	}
	c.later.file = kept.OpenFile(c.cfg.Keep, "fronts", pair.MAC)
	l, isOlder, err := readLater(c.later.file, c.cfg.Link)
	if err == nil && l != nil {
		err = c.fronts.take(l, isOlder)
	}
	c.ignore(err)
}

// Later is the fronts that came after a link and may be used.
type Later struct {
	Fronts    []link.Front
	MayLeadTo func(netip.Addr) bool // where they may be
	Withdrawn []int                 // fronts of the link, from 0, that are not to be used any more
}

// ReadLater is what was kept in a directory. The error says why what is there is ignored.
func ReadLater(l *link.Link, dir string, now time.Time) (Later, error) {
	pair, err := seal.NewClientPair(l.Keys)
	if err != nil {
		return Later{}, err
	}
	list, isOlder, err := readLater(kept.OpenFile(dir, "fronts", pair.MAC), l)
	if err != nil || list == nil {
		return Later{}, err
	}
	f := newFronts(l, func() time.Time { return now })
	if err := f.take(list, isOlder); err != nil {
		return Later{}, err
	}
	found := Later{MayLeadTo: f.mayLeadTo}
	for _, i := range f.inOrder() {
		if i >= len(l.Fronts) {
			found.Fronts = append(found.Fronts, f.at(i).Front)
		}
	}
	for i := range l.Fronts {
		if f.isGone(i) {
			found.Withdrawn = append(found.Withdrawn, i)
		}
	}
	return found, nil
}

// readLater reads the list that was kept, and whether that was beside a link with other fronts; nil:
// there is none.
func readLater(file *kept.File, l *link.Link) (list *link.List, isOlder bool, err error) {
	body, err := file.Read()
	if err != nil || body == nil {
		return nil, false, err
	}
	tag := tagOf(l)
	if len(body) < len(tag) {
		return nil, false, errors.New("it was cut")
	}
	list, err = link.ParseList(body[len(tag):], l.Keys.Origin)
	return list, [8]byte(body) != tag, err
}

// ignore says once, for each reason, that a list is ignored.
func (c *Client) ignore(why error) {
	if why == nil {
		return
	}
	c.later.mu.Lock()
	isNew := !slices.Contains(c.later.said, why.Error())
	if isNew {
		c.later.said = append(c.later.said, why.Error())
	}
	c.later.mu.Unlock()
	if isNew {
		c.cfg.Log.Warn("a list of fronts is ignored", "reason", why)
	}
}

// onFronts takes a list that came by a carrier.
func (c *Client) onFronts(signed []byte) {
	before := c.fronts.inOrder()[0]
	l, err := link.ParseList(signed, c.cfg.Link.Keys.Origin)
	if err == nil {
		err = c.fronts.take(l, false)
	}
	if err != nil {
		c.ignore(err)
		return
	}
	c.cfg.Log.Info("the origin has told of other fronts", "version", l.Version, "fronts", len(l.Fronts), "withdrawn", len(l.Withdrawn))
	if n := c.fronts.refused(); n > 0 {
		c.ignore(fmt.Errorf("%d of its fronts have addresses of a private network", n))
	}
	// Lists come anew with the same fronts, too: what works is forgotten only for one that now comes first.
	if first := c.fronts.inOrder()[0]; first != before {
		c.health.prefer(first)
	}
	select {
	case c.fronts.changed <- struct{}{}:
	default:
	}
	c.later.mu.Lock()
	c.later.signed = slices.Clone(signed)
	c.later.mu.Unlock()
	c.task(c.keepLater)
}

// confine has a front of a list not lead into a private network, whatever its name resolves to.
func (c *Client) confine(f link.Front) { c.cfg.Dialer.Confine(f, c.fronts.mayLeadTo) }

// keepLater keeps the newest list. One that cannot be kept is tried again with the next, and at the end.
func (c *Client) keepLater() {
	c.later.mu.Lock()
	defer c.later.mu.Unlock()
	signed := c.later.signed
	if c.later.file == nil || signed == nil {
		return
	}
	tag := tagOf(c.cfg.Link)
	if err := c.later.file.Replace(append(tag[:], signed...), isNewer); err != nil {
		c.cfg.Log.Warn("the list of fronts lasts as long as this program only", "error", err)
		return
	}
	c.later.signed = nil
}

// isNewer reports whether a list is not older than what another program has kept meanwhile.
func isNewer(body, than []byte) bool { return keptVersion(body) >= keptVersion(than) }

// keptVersion is that of a list behind a link's tag: see internal/link.
func keptVersion(body []byte) uint32 {
	const at = 8 + 1 + 8
	if len(body) < at+4 {
		return 0
	}
	return binary.BigEndian.Uint32(body[at:])
}

// followList leaves the fronts that a list has withdrawn, once another leads to the origin, and returns main's
// successor if it has one. If that is to be tried again, renew says when.
func (c *Client) followList(ctx context.Context, main *activeCarrier, renew *time.Ticker, over <-chan struct{}) *activeCarrier {
	if !c.fronts.isGone(main.front) {
		c.leaveGone(main)
		return nil
	}
	renew.Reset(renewRetry)
	return c.renew(ctx, main, over)
}

// leaveGone ends the carriers by fronts that are not to be used any more, but for main, which is replaced
// first.
func (c *Client) leaveGone(main *activeCarrier) {
	for _, h := range c.pool.allHomes() {
		for _, l := range h.serving() {
			if l != main && !l.Draining() && c.fronts.isGone(l.front) {
				l.Close()
			}
		}
	}
}
