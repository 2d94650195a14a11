package look

import (
	"crypto/tls"
	"errors"
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

// A ticket stands for no certificate that would not be believed now.
func TestAResumedSessionIsJudgedByTheCertificateThatItBeganWith(t *testing.T) {
	t.Parallel()
	wrong := errors.New("pinned otherwise by now")
	for _, l := range all() {
		server := &tls.Config{Certificates: []tls.Certificate{certificate()}}
		cfg := Config{Name: "front.example", Tickets: new(Tickets)}
		shake(t, l, cfg, server)
		near, far := tcpPipe(t)
		go tls.Server(far, server).Handshake()
		var judged tls.ConnectionState
		cfg.Verify = func(s tls.ConnectionState) error { judged = s; return wrong }
		_, err := l.Handshake(t.Context(), near, cfg)
		if !errors.Is(err, wrong) || !judged.DidResume || len(judged.PeerCertificates) == 0 {
			t.Errorf("%s: got %v for a session resumed %t by %d certificates, want it refused by its certificate",
				l.Name(), err, judged.DidResume, len(judged.PeerCertificates))
		}
	}
}
