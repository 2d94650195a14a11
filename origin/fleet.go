package origin

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"culvert/internal/handover"
	"culvert/internal/netpoll"
	"culvert/internal/tasks"
	"culvert/internal/wire"
)

// fleet is the origins of one network, of which each owns the tunnels that it has
// accepted. A client's ticket names the owner of its tunnels; what comes to
// another origin is passed on to the owner, once. Its methods may be called by
// many goroutines.
type fleet struct {
	self    netip.AddrPort // where others reach this origin; invalid: they do not
	tickets *wire.Tickets
	posts   *handover.Client
	reach   func(ctx context.Context, network, address string) (net.Conn, error)
	passing chan struct{} // holds one for each carrier that another origin serves
	metrics *metrics
	ctx     context.Context // ends the splices
	tasks   *tasks.Group    // they run the splices
}

// An owner, which is in the same network, may take so long.
const (
	ownerDial   = 2 * time.Second
	ownerAnswer = 5 * time.Second
)

// maxOwnerAnswer bounds the head of an answer.
const maxOwnerAnswer = 16 << 10

// errNotServed means that the owner does not serve the request.
var errNotServed = errors.New("owner does not serve it")

// ticket leads carriers and messages of b's user back to this origin. It is empty
// where nobody could follow it.
func (f *fleet) ticket(b *bearer) string {
	if !f.self.IsValid() {
		return ""
	}
	return f.tickets.New(b.gate, wire.Owner{At: f.self, User: b.user}, time.Now())
}

// isOwn reports whether ticket leads user to this origin.
func (f *fleet) isOwn(ticket string, user uint32) bool {
	owner, err := f.tickets.Open(ticket, time.Now())
	return err == nil && owner == wire.Owner{At: f.self, User: user}
}

// owner is the other origin that r's ticket names, and whose the ticket is;
// elsewhere is false if this origin is to serve r.
func (f *fleet) owner(r *http.Request, ticket string) (owner wire.Owner, elsewhere bool) {
	if !f.self.IsValid() || r.Header.Get(wire.PassedHeader) != "" {
		return wire.Owner{}, false
	}
	owner, err := f.tickets.Open(ticket, time.Now())
	return owner, err == nil && owner.At != f.self && f.mayReach(owner.At)
}

// mayReach bounds what tickets can make an origin dial, should a gate's key
// ever leak: this machine or its network, and no port of the system.
func (f *fleet) mayReach(at netip.AddrPort) bool {
	ip := at.Addr()
	inside := ip == f.self.Addr() || wire.IsInside(ip)
	return inside && at.Port() >= 1024
}

// passMessage hands body to owner and returns its answer's status, which is 204,
// 410 or 503. The error is one of handover's: ErrUnreachable if the owner is gone
// and has not got it.
func (f *fleet) passMessage(ctx context.Context, owner netip.AddrPort, body []byte) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, ownerAnswer)
	defer cancel()
	to := url.URL{Scheme: "http", Host: owner.String()}
	status, err := f.posts.Post(ctx, to, bytes.Clone(body), true)
	if err != nil {
		f.metrics.passes.WithLabelValues("unreachable").Inc()
		return 0, err
	}
	switch status {
	case http.StatusNoContent, http.StatusGone, http.StatusServiceUnavailable:
		f.metrics.passes.WithLabelValues("message").Inc()
		return status, nil
	}
	return 0, handover.ErrUnreachable // something else is there now
}

// passUpgrade has owner serve r. It returns false, and has answered nothing, if
// owner does not: then the tunnels that it had are gone.
func (f *fleet) passUpgrade(w http.ResponseWriter, r *http.Request, owner netip.AddrPort) bool {
	select {
	case f.passing <- struct{}{}:
	default:
		return false // as many as there may be
	}
	if !f.join(w, r, owner) {
		<-f.passing
		f.metrics.passes.WithLabelValues("unreachable").Inc()
		return false
	}
	f.metrics.passes.WithLabelValues("carrier").Inc()
	return true
}

// join connects r's client with the owner, if that has switched protocols.
func (f *fleet) join(w http.ResponseWriter, r *http.Request, owner netip.AddrPort) bool {
	far, answer, ahead, err := f.ask(r, owner)
	if err != nil {
		return false
	}
	near, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		far.Close()
		return false
	}
	near.SetDeadline(time.Time{})
	early, _ := buffered.Reader.Peek(buffered.Reader.Buffered())
	s := &splice{near: near, far: far, ended: func() { <-f.passing }}
	s.start(f.ctx, f.tasks, bytes.Clone(early), append(answer, ahead...))
	return true
}

// ask sends r to owner. It returns the head of the answer, which is 101, and
// what was read after it.
func (f *fleet) ask(r *http.Request, owner netip.AddrPort) (far net.Conn, answer, ahead []byte, err error) {
	ctx, cancel := context.WithTimeout(r.Context(), ownerDial)
	defer cancel()
	far, err = f.reach(ctx, "tcp", owner.String())
	if err != nil {
		return nil, nil, nil, err
	}
	netpoll.Tune(far)
	far.SetDeadline(time.Now().Add(ownerAnswer))
	answer, ahead, err = exchange(far, r)
	if err != nil {
		far.Close()
		return nil, nil, nil, err
	}
	far.SetDeadline(time.Time{})
	return far, answer, ahead, nil
}

func exchange(far net.Conn, r *http.Request) (answer, ahead []byte, err error) {
	out := r.Clone(r.Context())
	out.Header.Set(wire.PassedHeader, "1")
	if err := out.Write(far); err != nil {
		return nil, nil, err
	}
	in := bufio.NewReaderSize(io.LimitReader(far, maxOwnerAnswer), 1<<10)
	res, err := http.ReadResponse(in, r)
	if err != nil {
		return nil, nil, err
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		return nil, nil, errNotServed
	}
	var head bytes.Buffer
	res.Body = nil
	if err := res.Write(&head); err != nil {
		return nil, nil, err
	}
	ahead, err = in.Peek(in.Buffered())
	return head.Bytes(), ahead, err
}
