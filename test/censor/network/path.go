//go:build linux

package network

import (
	"errors"
	"net/netip"

	"culvert/test/censor/netns"
)

// ClientAddress is the client's on every Path: each has namespaces of its own.
var ClientAddress = netip.MustParseAddr("10.77.0.2")

// metrics is the setting by which no connection starts with what was learned by
// another before it.
const metrics = "net.ipv4.tcp_no_metrics_save"

// Path is a Network between two namespaces of its own.
type Path struct {
	*Network
	Client, Server *netns.Space
}

// NewPath makes a path to servers at addresses. The caller closes it.
func NewPath(rules Rules, servers ...netip.Addr) (p *Path, err error) {
	p = new(Path)
	if p.Client, err = netns.New(); err != nil {
		return nil, err
	}
	if p.Server, err = netns.New(); err != nil {
		p.Client.Close()
		return nil, err
	}
	client, err1 := p.Client.Tun(ClientAddress)
	server, err2 := p.Server.Tun(servers...)
	if err := errors.Join(err1, err2, p.Client.Sysctl(metrics, "1"), p.Server.Sysctl(metrics, "1")); err != nil {
		p.Client.Close()
		p.Server.Close()
		return nil, err
	}
	p.Network = New(client, server, rules, 1)
	return p, nil
}

// Close ends the path; whoever is still in its namespaces reaches nobody any more.
func (p *Path) Close() {
	p.Network.Close()
	p.Client.Close()
	p.Server.Close()
}
