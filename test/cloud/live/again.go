//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"slices"
	"time"

	"culvert/test/app"
)

// soon is how long an app waits before it comes again.
const soon = 200 * time.Millisecond

// useAgain has one chat connection that rests on what serves it, which may end, and short ones all the while.
func (p phone) useAgain(ctx context.Context) error {
	if conn, err := dialUp(p.chat); err != nil {
		return err
	} else if err := conn.Close(); err != nil {
		return err
	}
	if err := moveMedia(p.media); err != nil {
		return err
	}
	fmt.Println("the app is connected")
	ended := make(chan error, 1)
	during, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		defer stop()
		ended <- p.visit(during)
	}()
	chats, longest, err := p.stay(during)
	stop()
	if err := errors.Join(err, <-ended); err != nil {
		return err
	}
	if err := moveAgain(p.media); err != nil {
		return err
	}
	fmt.Printf("every byte of 2 times %d MB of media each way was right; chat was %d connections, the longest pause %v\n", mediaSize>>20, chats,
		longest.Round(10*time.Millisecond))
	return nil
}

// moveAgain is moveMedia by one who tries again where what served it may have ended.
func moveAgain(media string) error {
	err := moveMedia(media)
	for err != nil && mayBreak() {
		fmt.Printf("media broke at %s, as what served it has ended: %v\n", time.Now().Format(time.TimeOnly), err)
		time.Sleep(soon)
		err = moveMedia(media)
	}
	return err
}

// stay keeps a chat connection, and has another when that breaks. The pause is from the last answer of
// one to the first of the next.
func (p phone) stay(ctx context.Context) (chats int, longest time.Duration, err error) {
	last := time.Now()
	for ctx.Err() == nil {
		began := time.Now()
		conn, err := net.Dial("tcp", p.chat)
		if err != nil {
			return chats, longest, err
		}
		trips, err := app.Exchange(ctx, paced{conn}, p.root, math.MaxInt)
		conn.Close()
		if len(trips) > 0 {
			if chats > 0 {
				longest = max(longest, time.Since(last)-time.Since(began)+trips[0])
			}
			chats++
			for _, t := range trips {
				began = began.Add(t)
			}
			last = began
		}
		if errors.Is(err, context.Canceled) {
			return chats, longest, nil
		}
		if !mayBreak() {
			return chats, longest, fmt.Errorf("chat %d broke at %s after %d messages, and nothing had ended: %w", chats, time.Now().Format(time.TimeOnly), len(trips), err)
		}
		fmt.Printf("chat %d broke at %s after %d messages, as what served it has ended: %v\n", chats, time.Now().Format(time.TimeOnly), len(trips), err)
		time.Sleep(soon)
	}
	return chats, longest, nil
}

// visit has short chats one after another: who connects anew is served, whatever ends meanwhile.
func (p phone) visit(ctx context.Context) error {
	var took []time.Duration
	for ctx.Err() == nil {
		began := time.Now()
		err := p.visitOnce(ctx)
		if ctx.Err() != nil {
			break
		}
		if err != nil && !mayBreak() {
			return fmt.Errorf("a new chat at %s, after %v: %w", began.Format(time.TimeOnly), time.Since(began).Round(time.Millisecond), err)
		}
		if err != nil {
			fmt.Printf("a new chat at %s failed after %v, as what served it has ended: %v\n", began.Format(time.TimeOnly), time.Since(began).Round(time.Millisecond), err)
		} else {
			took = append(took, time.Since(began))
		}
		time.Sleep(soon)
	}
	if len(took) > 0 {
		fmt.Printf("%d short chats, the slowest took %v\n", len(took), slices.Max(took).Round(time.Millisecond))
	}
	return nil
}

func (p phone) visitOnce(ctx context.Context) error {
	conn, err := net.Dial("tcp", p.chat)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = app.Exchange(ctx, conn, p.root, 2)
	return err
}

// noted is how long it may take until it is known that something has ended, as clocks and processors are shared.
const noted = 3 * time.Second

// mayBreak asks whether something has ended that may have served us.
func mayBreak() bool {
	for began := time.Now(); time.Since(began) < noted; time.Sleep(soon) {
		answer, err := http.Get("http://" + controlAt + "/explained")
		if err != nil {
			return false
		}
		answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			return true
		}
	}
	return false
}
