package tunnel

import (
	"testing"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

type gatewaySocket struct{ *memSocket }

func (gatewaySocket) Profile() *transport.Profile { return transport.GatewayProfile() }

// Carriers may connect again and again and bring nothing: then the stream must
// hear of it as if there were none.
func TestATunnelAtTheGatewayDoorIsHeldFromTheLastCarrierThatBroughtSomething(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]bool{"that died": false, "that was left": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, n *Net) {
				c, _ := n.carrier(fate{}, fate{})
				_, _, tunnel := joined(t, n, 1, c)
				for range 10 * 60 {
					time.Sleep(carrier.CheckEvery)
					c.Check(time.Now())
				}
				if !leave {
					c.Close()
				}
				began := time.Now()
				for n.near.Tunnels() > 0 && time.Since(began) < time.Hour {
					a, b := socketPair(1, fate{silent: true}, fate{silent: true})
					deaf := n.near.NewCarrier(gatewaySocket{a}, 0)
					n.serve(deaf, n.far.NewCarrier(gatewaySocket{b}, 7))
					tunnel.Attach(deaf, true)
					time.Sleep(8 * time.Second)
					deaf.Close()
					time.Sleep(2 * time.Second)
				}
				if took := time.Since(began); took < wire.HoldTunnel || took > wire.HoldTunnel+20*time.Second {
					t.Errorf("held for %v, want about %v", took, wire.HoldTunnel)
				}
			})
		})
	}
}
