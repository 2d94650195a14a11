package emulator

import (
	"bytes"
	"context"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"culvert/internal/cost"
)

func TestTheMeterCountsWhatAWSDoes(t *testing.T) {
	m := new(Meter)
	bubble(t, Options{Meter: m}, func(t *testing.T, r *rig) {
		f := NewInProcess(handler(func(context.Context, []byte) ([]byte, error) {
			time.Sleep(10*time.Millisecond + time.Microsecond) // billed as 11
			return []byte(ok), nil
		}), Settings{MemoryMB: 512, Meter: m})
		defer f.Close()
		r.gate.routes = Routes{f, f, f}
		c := r.connect()
		for _, n := range []int{0, 1, frame} { // a unit each
			r.send(c, strings.Repeat("x", n))
		}
		write(t, c, websocket.MessageText, frame, 1) // two units
		time.Sleep(61 * time.Second)                 // the second minute has begun
		for _, n := range []int{1, frame + 1} {      // three units
			if err := r.post(r.id(), strings.Repeat("x", n)); err != nil {
				t.Fatal(err)
			}
			r.receive(c)
		}
		want := cost.GatewayUse{
			Messages: 8, ConnectionMinutes: 2, Invocations: 5, GBSeconds: 5 * 0.011 / 2,
			BytesOut: 2 + 1 + 4 + frame + 2 + 1, // with the frames' headers
		}
		if got := m.Use(); !same(got, want) {
			t.Errorf("while open: got %+v, want %+v", got, want)
		}
		c.Close(websocket.StatusNormalClosure, "")
		synctest.Wait()
		time.Sleep(time.Hour)
		want.Invocations, want.GBSeconds = 6, 6*0.011/2 // $disconnect
		if got := m.Use(); !same(got, want) {
			t.Errorf("afterwards: got %+v, want %+v", got, want)
		}
	})
}

func same(a, b cost.GatewayUse) bool {
	near := math.Abs(a.GBSeconds-b.GBSeconds) < 1e-9
	a.GBSeconds, b.GBSeconds = 0, 0
	return near && a == b
}

// The figures of AWS's price lists [11]: 1 $ for a million
// messages, 0.25 $ for a million minutes, 0.20 $ for a million invocations.
func TestAMillionOfEachIsCharged(t *testing.T) {
	t.Parallel()
	m := &Meter{in: 400_000, out: 600_000, minutes: 1e6, invocations: 1e6, mbMillis: 1024 * 1000, bytesOut: 1e9}
	prices := cost.USEast1()
	got := map[cost.Item]float64{}
	for _, l := range m.Charge(prices) {
		got[l.Item] = l.Dollars
	}
	for item, want := range map[cost.Item]float64{cost.Messages: 1, cost.ConnectionMinutes: 0.25, cost.Requests: 0.20, cost.Duration: 0.0000133334} {
		if math.Abs(got[item]-want) > 1e-9 {
			t.Errorf("%s: got %v $, want %v $", item, got[item], want)
		}
	}
	var table bytes.Buffer
	if err := m.Report(&table, prices); err != nil {
		t.Fatal(err)
	}
	if got := table.String(); !strings.Contains(got, "1.000000 $") || !strings.Contains(got, "together") {
		t.Errorf("got %q, want every line and the sum", got)
	}
}

// Starting an instance is billed since August 2025, with its first invocation.
func TestStartingAnInstanceIsBilled(t *testing.T) {
	t.Parallel()
	m := new(Meter)
	p := newProcess(t, Settings{Meter: m, Env: map[string]string{"START": "slow"}})
	for range 2 {
		if _, err := do(t, p, "echo"); err != nil {
			t.Fatal(err)
		}
	}
	if got := m.Use(); got.Invocations != 2 || got.GBSeconds < 0.1*128/1024 {
		t.Errorf("got %+v, want 2 invocations and the 100 ms of the start", got)
	}
}

func TestNoMeterCountsNothing(t *testing.T) {
	t.Parallel()
	var m *Meter
	m.opened("x")
	m.received(1)
	m.sent(1, 1)
	m.invoked(128, time.Second)
	m.closed("x")
}
