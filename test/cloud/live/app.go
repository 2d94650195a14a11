//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os/exec"
	"time"

	"culvert/test/app"
	"culvert/test/ports"
)

// appAddr is where the client of an app listens.
var appAddr = netip.MustParseAddr("127.0.0.78")

// mediaSize is how much media goes each way.
const mediaSize = 8 << 20

// runApp does what WhatsApp's app does, through "culvert connect" with the link
// that a file holds: media both ways, then one chat connection until ctx ends,
// which must not break, and media once more. An app that connects again takes what
// breaks for an answer, if what served it has ended.
func runApp(ctx context.Context, link, key string, again bool) error {
	b, err := hex.DecodeString(key)
	if err != nil || len(b) != 32 {
		return errors.New("the key is 64 hexadecimal digits")
	}
	chatAt, err := ports.On(appAddr)
	if err != nil {
		return err
	}
	mediaAt, err := ports.On(appAddr)
	if err != nil {
		return err
	}
	chat, media := chatAt.String(), mediaAt.String()
	var said bytes.Buffer
	client := exec.Command("bin/culvert", "connect", "--link-file", link, "--chat", chat, "--media", media, "--state", "none")
	client.Stdout, client.Stderr = &said, &said
	if err := client.Start(); err != nil {
		return err
	}
	defer func() { client.Process.Kill(); client.Wait() }()
	a := phone{chat: chat, media: media, root: [32]byte(b)}
	if again {
		err = a.useAgain(ctx)
	} else {
		err = a.use(ctx)
	}
	if err != nil {
		return fmt.Errorf("%w; the client said:\n%s", err, &said)
	}
	return nil
}

// phone is an app, by the addresses that its client listens on.
type phone struct {
	chat, media string
	root        [32]byte
}

// tell says how one chat connection was.
func tell(trips []time.Duration, began time.Time) {
	took, at := slowest(trips, began)
	fmt.Printf("every byte of 2 times %d MB of media each way was right; chat was one connection, %d messages, the slowest %v, at %s\n",
		mediaSize>>20, len(trips), took.Round(time.Millisecond), at.Format(time.TimeOnly))
}

// paced leaves the processor to others between two messages.
type paced struct{ net.Conn }

const pause = 20 * time.Millisecond

func (p paced) Write(b []byte) (int, error) {
	time.Sleep(pause)
	return p.Conn.Write(b)
}

// slowest is how long it took, and when that began, more or less.
func slowest(trips []time.Duration, began time.Time) (most time.Duration, at time.Time) {
	for _, t := range trips {
		if t > most {
			most, at = t, began
		}
		began = began.Add(t)
	}
	return most, at
}

// use has one chat connection.
func (p phone) use(ctx context.Context) error {
	conn, err := dialUp(p.chat)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := moveMedia(p.media); err != nil {
		return err
	}
	fmt.Println("the app is connected")
	began := time.Now()
	trips, err := app.Exchange(ctx, paced{conn}, p.root, math.MaxInt)
	if !errors.Is(err, context.Canceled) {
		return fmt.Errorf("chat: after %d messages: %w", len(trips), err)
	}
	err = moveMedia(p.media)
	if err == nil {
		tell(trips, began)
	}
	return err
}

// dialUp waits until the client listens.
func dialUp(address string) (conn net.Conn, err error) {
	for range 100 {
		if conn, err = net.Dial("tcp", address); err == nil {
			return conn, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil, err
}

// moveMedia fetches and sends media, trusting the system's authorities alone.
func moveMedia(media string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	m := app.NewMedia(nil, app.Dial(media))
	defer m.Close()
	if err := m.Download(ctx, mediaSize, nil); err != nil {
		return fmt.Errorf("download: %w", err)
	}
	if err := m.Upload(ctx, mediaSize, nil); err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	return nil
}
