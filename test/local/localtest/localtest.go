// Package localtest gives tests the relay of package local, and what tests of
// commands need beside it.
package localtest

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"culvert/client/doctor"
	"culvert/client/nearend"
	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/whatsapp"
	"culvert/test/local"
	"culvert/test/nobody"
)

// Open is a relay to a stand-in for a test, connected, which ends with the test.
// A part that fails fails the test.
func Open(t *testing.T) *local.Relay {
	t.Helper()
	r := newRelay(t)
	if err := r.StartStandIn(); err != nil {
		t.Fatal(err)
	}
	startFarEnd(t, r)
	if err := r.OpenNear(t.Context(), nearend.AnyPorts, t.Output()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

// newRelay is one that ends with the test.
func newRelay(t *testing.T) *local.Relay {
	t.Helper()
	r := &local.Relay{Failed: func(err error) { t.Errorf("a part of the relay ended: %v", err) }}
	t.Cleanup(r.Close)
	return r
}

func startFarEnd(t *testing.T, r *local.Relay) {
	t.Helper()
	master := seal.NewMaster()
	if err := r.StartOrigin(master); err != nil {
		t.Fatal(err)
	}
	if err := r.StartEdge(master); err != nil {
		t.Fatal(err)
	}
}

// Offline is a relay for a test whose origin finds no address of WhatsApp's.
func Offline(t *testing.T) *local.Relay {
	t.Helper()
	r := newRelay(t)
	r.Trust = doctor.Genuine()
	r.Upstream = &whatsapp.Upstream{LookupIP: func(context.Context, string, string) ([]netip.Addr, error) {
		return nil, &net.DNSError{}
	}}
	startFarEnd(t, r)
	return r
}

// DeadFront refuses connections.
func DeadFront(t *testing.T) link.Front {
	t.Helper()
	return link.Front{Host: nobody.Addr(t).String(), Path: "/"}
}
