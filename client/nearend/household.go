package nearend

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"culvert/client"
	"culvert/client/household"
	"culvert/client/listener"
)

// State is how the client does, for its page and for "culvert status".
func (n *NearEnd) State() household.State {
	s := n.Client.Status()
	app := n.App.current(listener.LANAddresses)
	up, down := n.meter.Rate(time.Now(), s.Sent, s.Received)
	return household.State{
		Connected: s.Connected, Resting: s.Resting, Front: s.Front + 1, Fronts: n.fronts + s.Later, Door: doorOf(s),
		RTT: float64(s.RTT.Microseconds()) / 1000, Open: s.Tunnels, Carriers: s.Carriers,
		Sent: s.Sent, Received: s.Received, Up: up, Down: down,
		Since: n.began.UTC().Truncate(time.Second), Setting: app.setting(app.Host), LAN: app.lan, PID: os.Getpid(),
	}
}

// doorOf is the door of the front in use.
func doorOf(s client.Status) string {
	for _, w := range s.Ways {
		switch {
		case w.Front != s.Front:
		case w.Gateway:
			return household.Gateway
		default:
			return household.Stream
		}
	}
	return ""
}

// setting is the app's where it reaches this machine by host.
func (a AppSettings) setting(host string) household.Setting {
	a.Host = host
	link, _ := a.link()
	return household.Setting{Host: host, Chat: a.Chat, Media: a.Media, Link: link}
}

// page is what a browser shows. One on the network has reached us by a host that phones there can use as well.
func (n *NearEnd) page(q *http.Request, here bool) string {
	s := n.State()
	if !here {
		host, _, err := net.SplitHostPort(q.Host)
		if err != nil {
			host = q.Host
		}
		s.Setting = n.App.setting(host)
	}
	return s.Page(q, here)
}

// answer answers "culvert status" as long as the client is served. A client that cannot be asked serves all the same.
func (n *NearEnd) answer(ctx context.Context) {
	if err := household.Answer(ctx, n.keep, n.State); err != nil {
		reason := "no socket can be made in the directory of --state"
		var errno syscall.Errno
		if errors.As(err, &errno) {
			reason = errno.Error()
		}
		n.log.Debug("culvert status cannot ask this client", "reason", reason)
	}
}
