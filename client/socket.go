package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"culvert/client/front"
	"culvert/internal/dial"
	"culvert/internal/link"
	"culvert/internal/netpoll"
	"culvert/internal/session"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// upgradeTimeout bounds the WebSocket handshake: one round trip and the CDN's
// own way to the origin.
const upgradeTimeout = 10 * time.Second

// ErrNotLetIn means that a front answered like an ordinary website: the link
// is revoked, its path is wrong, or it leads to another site.
var ErrNotLetIn = errors.New("the front shows an ordinary website: the link may be revoked or out of date, ask for a new one")

// socket is what a front opened for a token, which no other socket has: an origin
// takes each once.
type socket struct {
	transport.Transport
	token   wire.Token
	led     bool                   // a ticket led it
	took    time.Duration          // until it was open
	cost    int                    // bytes that came before the first record
	brought func() int             // bytes that have come in all; nil: it is not known
	given   atomic.Pointer[string] // the newest ticket
	told    *[16]byte              // the carrier's challenge; nil: it comes by the carrier alone
	party   *session.ClientCarrier // the carrier's end of its session, if what it says first went with the request; nil: it is still to be made
	awaited *transport.Awaited     // the Transport while it is being opened, if ahead
	ahead   *activeCarrier         // its carrier, whose first message went with the request; nil: that is still to be made
	drop    func()                 // ends ahead; nil: there is none
}

// Close ends what was opened and is not wanted.
func (s *socket) Close() error {
	if s.ahead != nil {
		s.drop()
	}
	return s.Transport.Close()
}

// offered is the newest ticket of the origin's, or empty.
func (s *socket) offered() string {
	if t := s.given.Load(); t != nil {
		return *t
	}
	return ""
}

func (s *socket) learn(ticket string) { s.given.Store(&ticket) }

// learnFrom keeps what the stream door sets in cookies: the ticket, and the challenge of this carrier.
// It returns what answers the Agree that went with the request, if that is there.
func (s *socket) learnFrom(answer *http.Response) (agreement []byte) {
	for _, cookie := range answer.Cookies() {
		if cookie.Name == wire.TicketCookie && len(cookie.Value) == wire.TicketLen {
			s.learn(cookie.Value)
		}
		if challenge, agreed, ok := wire.ParseChallenge(cookie.Value); ok && cookie.Name == wire.ChallengeCookie {
			s.told, agreement = &challenge, agreed
		}
	}
	return agreement
}

// dialSocket races the fronts that may be taken, and returns the number of the
// one that won. The error is dial.ErrNothing if there is no such front.
func (c *Client) dialSocket(ctx context.Context, w wanted) (*socket, int, error) {
	fronts, silent := c.frontsToTry(w.may), time.Duration(0)
	if w.visits && len(fronts) > 0 { // not within the race, so that the first keeps its head start
		silent = c.visitFirst(ctx, fronts[0])
	}
	headStart := func(i int) time.Duration {
		if i == fronts[0] { // the next has waited for that long already
			return max(c.health.headStart(i)-silent, hurryStart)
		}
		return c.health.headStart(i)
	}
	var tried atomic.Int32 // how many are being tried
	return dial.Race(ctx, fronts, headStart, func(ctx context.Context, i int) (*socket, error) {
		c.awaitRoomAt(ctx, i, &tried)
		tried.Add(1)
		defer tried.Add(-1)
		if w.visits {
			c.visitBeside(i)
		}
		if err := c.redials.admit(ctx, i); err != nil {
			return nil, fmt.Errorf("front %d: %w", i+1, err)
		}
		began := time.Now()
		s, err := c.tryFront(ctx, i, w.home.way(), w)
		if err != nil {
			c.learnMinute(ctx, i, began, err)
			if failedItself(ctx, err) {
				c.redials.failed(i, began)
			}
			return nil, fmt.Errorf("front %d: %w", i+1, err)
		}
		s.took = time.Since(began)
		c.health.answeredIn(i, s.took)
		c.visits.entered(i)
		return s, nil
	}, func(s *socket) { s.Close() })
}

// frontsToTry lists the fronts that may be taken in their order, but the one that
// was good last, or else the one after it, comes first, and those whose carriers may bring little
// come last.
func (c *Client) frontsToTry(may func(link.Front) bool) (fronts []int) {
	for _, i := range c.fronts.inOrder() {
		if may(c.fronts.at(i).Front) {
			fronts = append(fronts, i)
		}
	}
	c.fronts.from(c.health.first(), fronts)
	slices.SortStableFunc(fronts, func(a, b int) int { return c.budgets.compare(a, b) })
	c.giveWay(fronts)
	return fronts
}

// giveWay has another front of the same door come first where the first is known to be worse at the
// moment.
func (c *Client) giveWay(fronts []int) {
	best := 0
	for n, i := range fronts {
		isAlike := c.fronts.at(i).Gateway == c.fronts.at(fronts[0]).Gateway && c.budgets.compare(fronts[0], i) >= 0
		if isAlike && c.hindrance(i) < c.hindrance(fronts[best]) {
			best = n
		}
	}
	if best > 0 {
		first := fronts[best]
		copy(fronts[1:], fronts[:best])
		fronts[0] = first
	}
}

// hindrance is how much later than another a front is to be tried: its carriers are in doubt, or
// its connections do not last.
func (c *Client) hindrance(front int) time.Duration {
	wait := c.redials.wait(front)
	if c.pool.isDoubted(front) {
		wait = max(wait, hurryStart)
	}
	return wait
}

// tryFront opens a socket by the front at i that leads to the ticket's origin.
func (c *Client) tryFront(ctx context.Context, i int, ticket string, w wanted) (*socket, error) {
	s, _, again, err := c.openSocket(ctx, i, ticket, w)
	if again {
		s, _, _, err = c.openSocket(ctx, i, ticket, w)
	}
	return s, err
}

// openSocket reports how far the way led, and whether another try, which has another
// token, is worth it after a refusal.
func (c *Client) openSocket(ctx context.Context, i int, ticket string, w wanted) (s *socket, way front.Way, again bool, err error) {
	var begun, repeat atomic.Bool
	s, way, err = front.Open(ctx, c.cfg.Dialer, c.fronts.at(i).Front, func(ctx context.Context, conn *front.Conn) (*socket, error) {
		begun.Store(true)
		c.budgets.hasBegun(i)
		s, again, err := c.enter(ctx, conn, i, ticket, w)
		if again {
			repeat.Store(true)
		}
		return s, err
	})
	if err != nil && !begun.Load() && mayHaveBegun(ctx, way) {
		c.budgets.gaveUp(i)
	}
	return s, way, err != nil && repeat.Load(), err
}

// mayHaveBegun reports whether the network has counted a connection of an attempt that came so far, perhaps. One that was
// given up as it connected, by a race that another has won, may have been let in just then.
func mayHaveBegun(ctx context.Context, way front.Way) bool {
	by, ok := ctx.Value(claimKey{}).(*claim)
	wasRefused := ok && by.full.Load()
	return len(way.Took) > 0 || errors.Is(ctx.Err(), context.Canceled) && !wasRefused
}

// enter is the last step to a socket: it asks for one on conn, which it closes if there
// is none.
func (c *Client) enter(ctx context.Context, conn net.Conn, i int, ticket string, w wanted) (s *socket, again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, upgradeTimeout)
	defer cancel()
	cork, before := corkOf(conn), 0
	if cork != nil {
		before = cork.Brought()
	}
	s, answer, err := c.upgrade(ctx, conn, i, ticket, w)
	learned := c.learnDate(i, answer)
	switch {
	case err == nil:
		if cork != nil && s.ahead == nil {
			s.cost, s.brought = cork.Brought(), cork.Brought
			c.budgets.answerTook(i, s.cost-before)
		}
		return s, false, nil
	case answer == nil:
		return nil, false, front.Failed(front.StepUpgrade, err)
	}
	err = refusal(answer)
	c.visits.site(i).Forget() // its cookies may be the reason
	return nil, learned || c.mayBeRepeated(i, err), err
}

// learnDate reports whether the answer's date gives tokens for the front another time. An answer that a cache has kept
// says when it was made, not what time it is.
func (c *Client) learnDate(i int, answer *http.Response) bool {
	if answer == nil || isKept(answer.Header) {
		return false
	}
	date, err := http.ParseTime(answer.Header.Get("Date"))
	return err == nil && c.fronts.at(i).clock.Learn(date, c.cfg.Now())
}

// isKept reports whether a cache has had an answer for a while (RFC 9111, section 5.1); of an answer that it has just
// got, some say that its age is 0.
func isKept(h http.Header) bool {
	age := h.Get("Age")
	return age != "" && age != "0"
}

// mayBeRepeated reports whether a front has perhaps sent our request twice, as
// CloudFront may, and has answered with what the second brought: the origin had taken
// the token by then. The gateway door takes it later.
func (c *Client) mayBeRepeated(i int, err error) bool {
	return errors.Is(err, ErrNotLetIn) && !c.fronts.at(i).Gateway
}

// upgrade asks on conn for a socket by a new token. The answer is nil if none came.
func (c *Client) upgrade(ctx context.Context, conn net.Conn, i int, ticket string, w wanted) (*socket, *http.Response, error) {
	keys, f, own := c.cfg.Link.Keys, c.fronts.at(i), c.siteCookies(i)
	s := &socket{token: wire.NewToken(keys.User, keys.Token, c.pair.ProofKey(), f.clock.read(c.cfg.Now())), led: ticket != ""}
	if f.Gateway {
		var answer *http.Response
		var err error
		pass := transport.Pass{Token: s.token.Text(), Ticket: ticket, Learn: s.learn}
		s.Transport, answer, err = transport.UpgradeText(ctx, conn, f.Host, f.Path, header(pass.Token, ticket, own), pass)
		return s, answer, err
	}
	s.drop = func() { c.giveUpAhead(s) }
	first := c.goAhead(s, i, conn, w)
	if first == nil && w.home != nil {
		s.party = w.home.session.Party(session.Stream, s.token)
		first = s.party.Ahead(time.Now())
	}
	t, answer, err := transport.Upgrade(ctx, conn, f.Host, f.Path, header(s.token.WithAhead(first), ticket, own))
	if err != nil {
		c.giveUpAhead(s)
		return nil, answer, err
	}
	switch agreement := s.learnFrom(answer); {
	case s.ahead != nil:
		s.awaited.Open(t)
		return s, answer, nil
	case s.party == nil:
	case agreement == nil:
		s.party.Unanswered()
	case first != nil:
		transport.Before(t, session.AgreedMessage(agreement))
	}
	s.Transport = t
	return s, answer, nil
}

// header has the cookies of a request for a socket: those of the site itself, then ours.
func header(session, ticket string, own []string) http.Header {
	cookies := append(own, (&http.Cookie{Name: wire.TokenCookie, Value: session}).String())
	if ticket != "" {
		cookies = append(cookies, (&http.Cookie{Name: wire.TicketCookie, Value: ticket}).String())
	}
	return http.Header{"Cookie": {strings.Join(cookies, "; ")}}
}

// prepared is a copy of d that readies connections for carriers. The cork lies
// right beneath TLS, where the carrier looks for it, above what d's Wrap made.
func (c *Client) prepared(d *front.Dialer) *front.Dialer {
	wrap, open := d.Wrap, d.Connect
	d = d.Clone()
	if open == nil {
		open = front.TCP
	}
	d.Connect = c.connect(open)
	d.Wrap = func(c net.Conn) net.Conn {
		netpoll.Tune(c)
		if wrap != nil {
			c = wrap(c)
		}
		return transport.NewCork(c)
	}
	return d
}
