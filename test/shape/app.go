package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"sync"
	"time"

	"culvert/test/app"
	"culvert/test/ports"
)

// An app's chat begins as WhatsApp's does: a key of 36 bytes behind the prologue; a key, a sealed key and a sealed chain
// of certificates; the client's key and its payload; then what the server has kept, and the app's questions.
func chatScript(seed uint64) *script {
	r := rand.New(rand.NewPCG(seed, 7))
	s := &script{once: r, r: r}
	s.say(true, 0, 43)
	s.say(false, s.soon(), 350+r.IntN(30))
	s.say(true, s.soon(), 250+r.IntN(200))
	s.down(140, 320)
	for range 2 + r.IntN(4) {
		s.up(30, 250)
	}
	for range 1 + r.IntN(6) {
		s.down(40, 9000)
	}
	for len(s.steps) < 2*mostRecords && s.duration() < 20*time.Second {
		conversation(s)
	}
	return s
}

// seedAt is where the client's first bytes have what its script is drawn by, behind the prologue "WA".
const seedAt = 4

// serveChat plays WhatsApp's chat.
func (w *world) serveChat(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			var first [43]byte
			if _, err := io.ReadFull(c, first[:]); err == nil {
				play(c, chatScript(binary.BigEndian.Uint64(first[seedAt:])).steps[1:], false)
				io.Copy(io.Discard, c)
			}
		}()
	}
}

// play does the steps of one side.
func play(c net.Conn, steps []step, up bool) error {
	for _, st := range steps {
		b := make([]byte, st.Size)
		if st.Up != up {
			if _, err := io.ReadFull(c, b); err != nil {
				return err
			}
			continue
		}
		time.Sleep(st.Wait)
		if _, err := c.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// useAll has each user's app use Culvert, several at once.
func (w *world) useAll(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	var all error
	var running sync.WaitGroup
	free := make(chan struct{}, w.parallel)
	for n := range w.users * w.each {
		free <- struct{}{}
		running.Go(func() {
			defer func() { <-free }()
			if err := w.use(ctx, n); err != nil {
				mu.Lock()
				defer mu.Unlock()
				all = errors.Join(all, fmt.Errorf("session %d: %w", n, err))
				cancel()
			}
		})
		time.Sleep(w.lasts / time.Duration(8*w.parallel))
	}
	running.Wait()
	return all
}

// use is a session: a client starts, the app's chat finds it soon or later, and some load media, too.
func (w *world) use(ctx context.Context, n int) error {
	if ctx.Err() != nil {
		return nil
	}
	r := rand.New(rand.NewPCG(w.seed, uint64(n)))
	chat, media := ports.Loopback(), ports.Loopback()
	p, err := start([]string{"HOME=" + w.dir}, filepath.Join(w.bin, "culvert"), "connect", "--link-file", w.links[n%len(w.links)],
		"--chat", chat, "--media", media, "--state", "none", "--visit", "no")
	if err != nil {
		return err
	}
	defer end(p)
	if err := listens(ctx, chat); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, w.lasts)
	defer cancel()
	if r.IntN(2) == 0 {
		time.Sleep(time.Duration(r.IntN(4000)) * time.Millisecond)
	}
	if r.IntN(3) == 0 {
		go w.loadMedia(ctx, media, time.Duration(r.IntN(4000))*time.Millisecond, int64(20_000+r.IntN(200_000)))
	}
	return talk(ctx, chat, r.Uint64())
}

// talk plays the app's chat until ctx ends.
func talk(ctx context.Context, address string, seed uint64) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	steps := chatScript(seed).steps
	first := binary.BigEndian.AppendUint64([]byte("WA\x06\x03"), seed)
	if _, err := c.Write(append(first, make([]byte, steps[0].Size-len(first))...)); err != nil {
		return err
	}
	err = play(c, steps[1:], true)
	if ctx.Err() == nil {
		<-ctx.Done()
		return err
	}
	return nil
}

// loadMedia loads something that the app shows, by TLS of its own.
func (w *world) loadMedia(ctx context.Context, address string, after time.Duration, size int64) {
	time.Sleep(after)
	m := app.NewMedia(w.standIn.CAs(), app.Dial(address))
	defer m.Close()
	m.Download(ctx, size, nil)
}
