package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"culvert/internal/wire"
)

// wrong is what strangers ask an origin. Each must get an answer of a website:
// neither a way in nor a fault of ours.
func wrong() []string {
	post := func(body string) string {
		return fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body)
	}
	noise := make([]byte, 100<<10)
	rand.Read(noise)
	upgrade := "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
	return []string{
		post("{}"),
		post(string(noise[:300])),
		post(string(noise)),
		post("") + "more",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n1\r\nx\r\n0\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		upgrade + "\r\n",
		upgrade + "Cookie: " + wire.TokenCookie + "=" + strings.Repeat("A", wire.TokenLen) + "\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + strings.Repeat("c", 64<<10) + "\r\n\r\n",
		string(noise[:64]) + "\r\n\r\n",
	}
}

// answerWithin is how long an origin may take to answer a stranger.
const answerWithin = 10 * time.Second

// ask sends one request of any form and returns the answer's status.
func ask(ctx context.Context, address, request string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
	if _, err := io.WriteString(c, request); err != nil {
		return 0, err
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	return res.StatusCode, nil
}

// ordinary reports that a website may answer so. The gateway door's own answers
// and faults are not among it.
func ordinary(status int) bool {
	return status >= 200 && status < 500 && status != http.StatusNoContent && status != http.StatusGone
}

// pester asks one wrong thing after another until ctx ends, and counts.
func pester(ctx context.Context, address string) (n int, err error) {
	for all := wrong(); ; n++ {
		i := n % len(all)
		status, err := ask(ctx, address, all[i])
		switch {
		case ctx.Err() != nil:
			return n, nil
		case err != nil:
			return n, fmt.Errorf("wrong request %d: %w", i+1, err)
		case !ordinary(status):
			return n, fmt.Errorf("wrong request %d: got status %d, want a website's", i+1, status)
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}
