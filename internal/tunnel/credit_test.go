package tunnel

import (
	"testing"

	"culvert/internal/transport"
	"culvert/internal/wire"
)

// keepAll has t send as much as it may to a peer that opens the largest window
// and acks nothing.
func keepAll(t *Tunnel) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.limit = wire.MaxWindow
	for room := t.roomToSend(); room > 0; room = t.roomToSend() {
		t.sent += min(room, wire.MaxData)
	}
}

func TestPeersThatAckNothingMakeUsKeepTheBudgetAtMost(t *testing.T) {
	t.Parallel()
	const budget, count = 10 << 20, 200
	tb := NewTable(Events{}, NewWindowBudget(budget))
	var kept uint64
	var all []*Tunnel
	for id := range wire.TunnelID(count) {
		tn := newTunnel(tb, id+1, 0, wire.Service{})
		tb.add(tn)
		keepAll(tn)
		kept += tn.sent
		all = append(all, tn)
		if tn.sent < firstCredit-transport.StreamProfile().MinRoom {
			t.Fatalf("tunnel %d may send %d bytes, want nearly %d whatever others hold", id, tn.sent, firstCredit)
		}
	}
	if most := uint64(budget + count*firstCredit); kept > most || kept < budget {
		t.Errorf("got %d bytes kept, want at most %d and at least the budget", kept, most)
	}
	for _, tn := range all {
		tn.Reset(wire.Aborted)
	}
	if left := tb.Windows.left.Load(); left != budget {
		t.Errorf("got a budget of %d after all ended, want %d", left, budget)
	}
}

func TestATunnelThatPausesGivesItsCreditBack(t *testing.T) {
	t.Parallel()
	const budget = 32 << 20
	tb := NewTable(Events{}, NewWindowBudget(budget))
	tn := newTunnel(tb, 1, 0, wire.Service{})
	keepAll(tn)
	tn.mu.Lock()
	defer tn.mu.Unlock()
	if tn.acked = tn.sent; tn.sent != wire.MaxWindow {
		t.Errorf("got %d bytes kept, want a whole window where the budget allows it", tn.sent)
	}
	tn.giveCredit()
	if left := tb.Windows.left.Load(); left != budget {
		t.Errorf("got a budget of %d, want %d", left, budget)
	}
}
