package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// ErrUnhealthy means that the server which has these settings does not answer, or is about to
// stop: what asked whether it is healthy exits with 1.
var ErrUnhealthy = errors.New("not healthy")

// healthPatience is how long the answer may take: what asks gives up in less than 5 s, as a rule.
const healthPatience = 3 * time.Second

// health asks the server that runs with the same settings, as a container's engine does
// every now and then: an image from scratch holds nothing else that could.
func (p Program) health(fields []field) error {
	setting := cmp.Or(p.Health, adminListen)
	at := initial(fields, setting)
	if set := environment(fields)[setting]; set != "" {
		at = set
	}
	if at == string(Off) {
		return SettingError{setting, "is off, and health is asked for there", setting + "=127.0.0.1:9090"}
	}
	host, port, err := net.SplitHostPort(at)
	if err != nil {
		return SettingError{setting, "is not host:port", setting + "=127.0.0.1:9090"}
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1" // which reaches whoever listens on all addresses
	}
	ctx, cancel := context.WithTimeout(context.Background(), healthPatience)
	defer cancel()
	return askHealth(ctx, net.JoinHostPort(host, port), setting)
}

const adminListen = "CULVERT_ADMIN_LISTEN"

func initial(fields []field, name string) string {
	for _, f := range fields {
		if f.name == name {
			return f.initial
		}
	}
	return ""
}

// AskHealth asks the server whose admin listener is at host:port, by no proxy, whatever the environment names. Its error
// is ErrUnhealthy, with the reason. ctx bounds it.
func AskHealth(ctx context.Context, at string) error { return askHealth(ctx, at, adminListen) }

func askHealth(ctx context.Context, at, setting string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+"/healthz", nil)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnhealthy, err)
	}
	client := http.Client{Transport: new(http.Transport), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	answer, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("%w: nothing answers at %s: is it running, and with the same settings?", ErrUnhealthy, setting)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: %s", ErrUnhealthy, answer.Status)
	}
	return nil
}
