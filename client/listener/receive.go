package listener

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"time"

	proxyproto "github.com/pires/go-proxyproto"

	"culvert/internal/netpoll"
	"culvert/internal/wire"
)

// arrival is a connection of which all is known that Carry wants to know.
type arrival struct {
	conn    net.Conn
	service wire.Service
	first   []byte
	deep    bool // the goroutine's stack has grown
}

// receive finds out what u is and hands it on, or closes it. A handshake grows
// the goroutine's stack, so a connection that had one is carried by another.
func (r *reception) receive(u *unknown) {
	a, known := r.identify(u.conn)
	if !known {
		u.conn.Close()
	}
	switch known = r.queue.identified(u) && known; {
	case known && a.deep:
		r.group.Go(func() { r.Carry(a.conn, a.service, a.first) })
	case known:
		r.Carry(a.conn, a.service, a.first)
	}
}

// identify reads what a connection says first. It returns false for one that is
// not to be carried, which may have been answered.
func (r *reception) identify(conn net.Conn) (arrival, bool) {
	buffer := r.buffers.Get().(*[]byte)
	defer r.buffers.Put(buffer)
	b := (*buffer)[:0]
	if r.ProxyHeader {
		var ok bool
		if conn, b, ok = takeProxyHeader(conn, b); !ok {
			return arrival{}, false
		}
	}
	if r.Raw {
		return identifyRaw(conn, b)
	}
	if r.Web {
		return r.identifyWeb(conn, b)
	}
	return r.identifySniffed(conn, b)
}

// takeProxyHeader returns the connection as its header says that it came, and what came behind the header.
func takeProxyHeader(conn net.Conn, b []byte) (net.Conn, []byte, bool) {
	var h *proxyproto.Header
	var n int
	var err error
	b, ok := readUntil(conn, b, maxProxyHeader, func(b []byte) bool {
		h, n, err = readProxyHeader(b)
		return err != errShort
	})
	if !ok || err != nil {
		return nil, nil, false
	}
	return forwardedBy(h, conn), append(b[:0], b[n:]...), true
}

// identifyRaw takes what comes within rawWait, without a deadline if it is
// there already. An end of the stream comes again at the next read.
func identifyRaw(conn net.Conn, b []byte) (arrival, bool) {
	if len(b) == 0 {
		b = b[:netpoll.TryRead(conn, b[:cap(b)])]
	}
	if len(b) == 0 {
		conn.SetReadDeadline(time.Now().Add(rawWait))
		n, err := conn.Read(b[:cap(b)])
		conn.SetReadDeadline(time.Time{})
		if err != nil && err != io.EOF && !errors.Is(err, os.ErrDeadlineExceeded) {
			return arrival{}, false
		}
		b = b[:n]
	}
	return arrival{conn: conn, service: rawChat.service(""), first: bytes.Clone(b)}, true
}

func (r *reception) identifySniffed(conn net.Conn, b []byte) (arrival, bool) {
	var v verdict
	var sni string
	b, _ = readUntil(conn, b, maxHello, func(b []byte) bool {
		v, sni = sniff(b)
		return v != undecided
	})
	switch v {
	case rawChat, mediaTLS:
		return arrival{conn: conn, service: v.service(sni), first: bytes.Clone(b)}, true
	case chatTLS:
		return r.identifyInside(conn, b)
	case webPage:
		r.help(conn, b)
	case foreign:
		r.Log.Debug("closed a connection that is neither WhatsApp's nor a browser's")
	}
	return arrival{}, false
}

// identifyInside ends TLS and sniffs again. The queue's limit bounds the
// handshake as well.
func (r *reception) identifyInside(conn net.Conn, hello []byte) (arrival, bool) {
	inside := newChatConn(conn, bytes.Clone(hello), r.tls)
	if err := inside.Handshake(); err != nil {
		r.explain(err)
		return arrival{}, false
	}
	var v verdict
	b, _ := readUntil(inside, hello[:0], maxHello, func(b []byte) bool {
		v = sniffPlain(b)
		return v != undecided
	})
	switch v {
	case rawChat:
		return arrival{conn: inside, service: v.service(""), first: bytes.Clone(b), deep: true}, true
	case webPage:
		r.help(inside, b)
	}
	return arrival{}, false
}

// explain tells the user of an app that does not trust our certificate. Other
// failures are a stranger's noise.
func (r *reception) explain(err error) {
	var alert *net.OpError
	if errors.As(err, &alert) && alert.Op == "remote error" {
		r.Log.Info("an app refused this proxy's TLS; turn TLS off in its proxy settings", "reason", alert.Err)
	}
}

// readUntil reads behind b until done with all bytes so far, which is first
// asked when there are some. False: the stream ended or limit bytes came
// before that. The result may be another slice than b.
func readUntil(conn net.Conn, b []byte, limit int, done func([]byte) bool) ([]byte, bool) {
	for len(b) == 0 || !done(b) {
		if len(b) >= limit {
			return b, false
		}
		if len(b) == cap(b) {
			b = slices.Grow(b, min(7*len(b), limit-len(b)))
		}
		n, err := conn.Read(b[len(b):min(cap(b), limit)])
		b = b[:len(b)+n]
		if err != nil && n == 0 {
			return b, false
		}
	}
	return b, true
}
