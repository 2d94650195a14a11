package tunnel_test

import (
	"testing"
	"time"

	"culvert/internal/seal"
	"culvert/internal/tunnel"
	"culvert/internal/wire"
)

func TestTheSealsKeysOutliveCarriers(t *testing.T) {
	t.Parallel()
	master := seal.NewMaster()
	service := wire.Service{Kind: wire.Media, Host: "mmg.whatsapp.net"}
	now := time.Now() // a bubble's clock stands elsewhere: both ends use this one
	clock := func() time.Time { return now }
	client, server := seal.NewClient(master.Client(7), clock), seal.NewServer(master, clock)
	tunnel.ProveWith(t, tunnel.Handshake{
		Start: func(id wire.TunnelID, early []byte) (tunnel.Start, error) {
			payload, pending, err := client.Open(id, service, early)
			return tunnel.Start{ID: id, Service: service, Payload: payload, Early: len(early),
				Finish: func(accept []byte) (tunnel.Keys, error) { return pending.Finish(accept) }}, err
		},
		Open: func(id wire.TunnelID, payload []byte) (tunnel.Opened, error) {
			o, err := server.Accept(id, 7, payload)
			if err != nil {
				return tunnel.Opened{}, err
			}
			return tunnel.Opened{ID: id, Service: o.Service, Early: o.Early, Accept: o.Accept, Keys: o.Keys}, nil
		},
	})
}
