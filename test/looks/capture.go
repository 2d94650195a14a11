package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"culvert/client/look"
)

// samples is how many ClientHellos for wss:// are taken: so many that each of four lengths of a GREASE ECH
// is missing from them once in 25,000 times.
const samples = 40

// capture takes a browser's look: by a page over HTTP/2 and its sockets first, then by a proxy and HTTP/1.1.
func (b *browser) capture(ctx context.Context) (*look.Data, error) {
	version, err := b.version(ctx)
	if err != nil {
		return nil, err
	}
	d := &look.Data{Name: b.name, Version: version}
	pages, sockets, err := b.collect(ctx, samples, 0, "h2", "http/1.1")
	if err != nil {
		return nil, err
	}
	if pages[0].opens == nil {
		return nil, errors.New("it does not speak HTTP/2")
	}
	d.Page, d.Socket = pages[0].hello, sockets[0].hello
	d.H2 = pages[0].opens.H2
	d.Upgrade = linesOf(sockets[0].head)
	if err := describe(d, sockets); err != nil {
		return nil, err
	}
	if d.NoTicket, err = b.leavesTicketOut(ctx); err != nil {
		return nil, err
	}
	proxy, err := newProxy()
	if err != nil {
		return nil, err
	}
	defer proxy.ln.Close()
	if _, _, err = b.collect(ctx, 0, proxy.port(), "http/1.1"); err != nil {
		return nil, err
	}
	d.Connect = linesOf(<-proxy.heads)
	h2, err := b.questionsOf(ctx, "h2")
	if err != nil {
		return nil, err
	}
	h1, err := b.questionsOf(ctx, "http/1.1")
	if err != nil {
		return nil, err
	}
	return d, takeParts(d, h2, h1)
}

// collect has the browser open the page of a site, and so many sockets from there.
func (b *browser) collect(ctx context.Context, count, proxy int, protocols ...string) (pages, sockets []visitor, err error) {
	s, err := newSite(count, protocols...)
	if err != nil {
		return nil, nil, err
	}
	defer s.close()
	return b.collectAt(ctx, s, count, proxy)
}

// leavesTicketOut reports whether a ClientHello that resumes a session of TLS 1.3 has no extension for tickets of TLS 1.2.
func (b *browser) leavesTicketOut(ctx context.Context) (bool, error) {
	s, err := newSite(2, "http/1.1")
	if err != nil {
		return false, err
	}
	defer s.close()
	s.config.SessionTicketsDisabled = false
	_, sockets, err := b.collectAt(ctx, s, 2, 0)
	if err != nil {
		return false, err
	}
	h, err := parseHello(sockets[1].hello)
	if err == nil && !slices.Contains(h.numbers, extensionPSK) {
		err = errors.New("it resumes no session")
	}
	return err == nil && !slices.Contains(h.numbers, extensionTicket), err
}

// collectAt is collect at a site that there is already.
func (b *browser) collectAt(ctx context.Context, s *site, count, proxy int) (pages, sockets []visitor, err error) {
	err = b.visit(ctx, s, proxy, func(ctx context.Context) error {
		for len(pages) == 0 || len(sockets) < count {
			select {
			case v := <-s.visitors:
				if v.asks() {
					sockets = append(sockets, v)
				} else {
					pages = append(pages, v)
				}
			case <-ctx.Done():
				return fmt.Errorf("it has made %d of %d connections: %w", len(pages)+len(sockets), 1+count, ctx.Err())
			}
		}
		return nil
	})
	return pages, sockets, err
}

// usual is a header's value as most who browse with the browser have it: Windows, with a screen.
func usual(value string) string {
	return strings.NewReplacer("HeadlessChrome/", "Chrome/", "X11; Linux x86_64", "Windows NT 10.0; Win64; x64", `"Linux"`, `"Windows"`).Replace(value)
}

// linesOf makes a request that was made once one for any site.
func linesOf(head string) (lines []string) {
	for line := range strings.Lines(head) {
		lines = append(lines, strings.TrimRight(line, "\r\n"))
	}
	method, rest, _ := strings.Cut(lines[0], " ")
	target, version, _ := strings.Cut(rest, " ")
	lines[0] = method + " {target} " + version
	host := strings.TrimPrefix(lines[slices.IndexFunc(lines, func(s string) bool { return strings.HasPrefix(s, "Host: ") })], "Host: ")
	for i, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		switch {
		case method == "CONNECT":
			value = strings.ReplaceAll(value, target, "{target}")
		case name == "Cookie":
			value = "{cookie}"
		case name == "Sec-WebSocket-Key":
			value = "{key}"
		default:
			value = strings.ReplaceAll(value, host, "{host}")
		}
		lines[1+i] = name + ": " + usual(value)
	}
	return lines
}

// proxy is one on this machine that keeps what it is asked, and leads to where it is asked for on this machine.
type proxy struct {
	ln    net.Listener
	heads chan string
}

func newProxy() (*proxy, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{ln, make(chan string, 100)}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return p, nil
}

func (p *proxy) port() int { return p.ln.Addr().(*net.TCPAddr).Port }

// serve serves one CONNECT to the site; others come from the browser's own services, and lead nowhere.
func (p *proxy) serve(c net.Conn) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	r := bufio.NewReader(c)
	head, err := readHead(r)
	target, ok := strings.CutPrefix(head, "CONNECT "+siteName+":")
	if err != nil || !ok {
		return
	}
	port, _, _ := strings.Cut(target, " ")
	far, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		return
	}
	defer far.Close()
	p.heads <- head
	io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n")
	go func() {
		io.Copy(far, r)
		far.Close()
	}()
	io.Copy(c, far)
}

// describe says in d what only several ClientHellos show.
func describe(d *look.Data, seen []visitor) error {
	first := ""
	for _, v := range seen {
		h, err := parseHello(v.hello)
		if err != nil {
			return err
		}
		if order := fmt.Sprint(h.order()); first == "" {
			first = order
		} else if order != first {
			d.Shuffled = true
		}
		d.OneKey = h.oneKey()
		if ech := h.extensions[extensionECH]; len(ech) > 8 {
			add(&d.ECHCiphers, binary.BigEndian.Uint16(ech[3:]))
			payload := 8 + int(binary.BigEndian.Uint16(ech[6:]))
			add(&d.ECHPayloads, binary.BigEndian.Uint16(ech[payload:]))
		}
	}
	slices.Sort(d.ECHCiphers)
	slices.Sort(d.ECHPayloads)
	return nil
}

func add(all *[]uint16, v uint16) {
	if !slices.Contains(*all, v) {
		*all = append(*all, v)
	}
}
