package e2e

import (
	"testing"
	"time"

	"culvert/internal/cost"
)

// used is what f uses of AWS.
func (a *api) used(f func()) cost.GatewayUse {
	before := a.meter.Use()
	f()
	after := a.meter.Use()
	return cost.GatewayUse{
		Messages: after.Messages - before.Messages, Invocations: after.Invocations - before.Invocations,
		ConnectionMinutes: after.ConnectionMinutes - before.ConnectionMinutes,
		GBSeconds:         after.GBSeconds - before.GBSeconds, BytesOut: after.BytesOut - before.BytesOut,
	}
}

func dollars(u cost.GatewayUse) float64 {
	return cost.Total(cost.USEast1().Bill(u.Use(), cost.NothingFree))
}

// The goals for one megabyte: 46 units of 32 KB, acks, opening and closing
// included. Base64 without batching would need 64.
func TestAMegabyteCostsFewMessages(t *testing.T) {
	for name, o := range map[string]order{
		"down": {Do: exchange, Seed: 1, Down: 1 << 20},
		"up":   {Do: exchange, Seed: 1, Up: 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				a := w.api(apiOptions{})
				f := w.forward(a.clients.addr)
				f.delay.Store(int64(30 * time.Millisecond))
				n := w.clientBy(1, w.textFront(f.addr())).ready()
				<-time.After(time.Second)
				use := a.used(func() {
					if err := n.order(o); err != nil {
						t.Error(err)
					}
					<-time.After(2 * time.Minute)
				})
				t.Logf("%d units, %d invocations, %.3f $/GB", use.Messages, use.Invocations, 1024*dollars(use))
				if use.Messages > 46 {
					t.Errorf("got %d units, want 46 at most", use.Messages)
				}
			})
		})
	}
}

// A request and its answer, every few seconds: 2.2 messages and 1.1 invocations.
func TestAChatExchangeCostsTwoMessages(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.api(apiOptions{})
		n := w.clientBy(1, a.front(w)).ready()
		c := n.chat()
		if _, err := c.ping(time.Second); err != nil {
			t.Fatal(err)
		}
		const count = 100
		use := a.used(func() {
			for range count {
				if _, err := c.ping(time.Second); err != nil {
					t.Fatal(err)
				}
				<-time.After(7 * time.Second)
			}
		})
		messages, invocations := float64(use.Messages)/count, float64(use.Invocations)/count
		t.Logf("%.2f messages and %.2f invocations an exchange", messages, invocations)
		if messages > 2.2 || invocations > 1.1 {
			t.Errorf("got %.2f messages and %.2f invocations, want 2.2 and 1.1 at most", messages, invocations)
		}
	})
}

func TestAnIdleChatCostsTwoCentsAMonth(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.api(apiOptions{})
		n := w.clientBy(1, a.front(w)).ready()
		if _, err := n.chat().ping(time.Second); err != nil {
			t.Fatal(err)
		}
		use := a.used(func() { <-time.After(24 * time.Hour) })
		month := 30 * dollars(use)
		t.Logf("%d messages, %d invocations, %d connection minutes a day: %.4f $ a month", use.Messages, use.Invocations, use.ConnectionMinutes, month)
		if month > 0.02 || use.ConnectionMinutes < 24*60 {
			t.Errorf("got %.4f $ a month, want 0.02 at most", month)
		}
	})
}
