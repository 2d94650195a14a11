package look

import (
	"crypto/tls"
	"slices"
	"testing"
)

// NSS sends no empty extension for a ticket of TLS 1.2 beside one of TLS 1.3, BoringSSL does; both resume by either.
func TestATicketStandsAloneWhereTheBrowserHasItSo(t *testing.T) {
	t.Parallel()
	const ticket, preShared = 35, 41
	for _, l := range all() {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			server, cfg := &tls.Config{MaxVersion: version}, Config{Name: "front.example", Tickets: new(Tickets)}
			shake(t, l, cfg, server)
			c, hello := shake(t, l, cfg, server)
			sent, bodies := extensions(t, hello)
			is13 := version == tls.VersionTLS13
			if want := !(is13 && l.data.NoTicket); slices.Contains(sent, ticket) != want || slices.Contains(sent, preShared) != is13 {
				t.Errorf("%s, %s: got extensions %v, want 35 among them: %v", l.Name(), tls.VersionName(version), sent, want)
			}
			if !c.ConnectionState().DidResume || !is13 && len(bodies[ticket]) == 0 {
				t.Errorf("%s, %s: got no session resumed", l.Name(), tls.VersionName(version))
			}
		}
	}
}
