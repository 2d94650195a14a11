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
	"time"

	"culvert/internal/relay"
	"culvert/internal/wire"
)

// How long an owner, which is in the same network, may take.
const (
	ownerDial   = 2 * time.Second
	ownerAnswer = 5 * time.Second
)

// maxOwnerAnswer bounds the head of an answer.
const maxOwnerAnswer = 16 << 10

var errNotServed = errors.New("owner does not serve it")

// passUpgrade has the origin that r's ticket names serve r. It returns false,
// and has answered nothing, if there is none or it does not: then the tunnels
// that it held are gone, and this origin serves r.
func (o *Origin) passUpgrade(w http.ResponseWriter, r *http.Request, user uint32) bool {
	cookie, err := r.Cookie(wire.TicketCookie)
	if err != nil || r.ContentLength != 0 { // an upgrade with a body is no client of ours
		return false
	}
	owner, ok := o.owner(r, cookie.Value)
	if !ok || owner.User != user {
		return false
	}
	select {
	case o.passing <- struct{}{}:
	default:
		return false // as many as there may be
	}
	if !o.join(w, r, owner.At) {
		<-o.passing
		o.metrics.passed("unreachable")
		return false
	}
	o.metrics.passed("carrier")
	return true
}

// join connects r's client with the owner, if that has switched protocols.
func (o *Origin) join(w http.ResponseWriter, r *http.Request, owner netip.AddrPort) bool {
	far, answer, ahead, err := o.ask(r, owner)
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
	stop := context.AfterFunc(o.ctx, func() { near.Close(); far.Close() })
	p := &passage{near: near, far: far, ended: func() { stop(); <-o.passing }}
	p.start(bytes.Clone(early), append(answer, ahead...))
	return true
}

// ask sends r to owner. It returns the head of the answer, which is 101, and
// what was read after it.
func (o *Origin) ask(r *http.Request, owner netip.AddrPort) (far net.Conn, answer, ahead []byte, err error) {
	far, err = (&net.Dialer{Timeout: ownerDial}).DialContext(r.Context(), "tcp", owner.String())
	if err != nil {
		return nil, nil, nil, err
	}
	relay.Tune(far)
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
