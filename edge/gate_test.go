package edge

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"culvert/internal/wire"
)

func TestConnectAdmitsByTheTokenAloneAndDialsNothing(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	g, _ := newGate(t, o.URL)
	for name, c := range map[string]struct {
		one  map[string]string
		many map[string][]string
		want int
	}{
		"in the headers":              {one: map[string]string{"Cookie": "session=" + token(t)}, want: http.StatusOK},
		"in any case":                 {one: map[string]string{"cOOKIE": "session=" + token(t)}, want: http.StatusOK},
		"in the multiple headers":     {many: map[string][]string{"cookie": {"a=b", "session=" + token(t)}}, want: http.StatusOK},
		"that the user did not prove": {one: map[string]string{"Cookie": "session=" + token(t)[:wire.TokenLen-2] + "AA"}, want: http.StatusOK},
		"after another's cookie":      {one: map[string]string{"Cookie": "session=x; session=" + token(t)}, want: http.StatusOK},
		"nowhere":                     {want: http.StatusNotFound},
		"in another header":           {one: map[string]string{"Authorization": "session=" + token(t)}, want: http.StatusNotFound},
		"in another cookie":           {one: map[string]string{"Cookie": "token=" + token(t)}, want: http.StatusNotFound},
		"with a letter too many":      {one: map[string]string{"Cookie": "session=" + token(t) + "A"}, want: http.StatusNotFound},
	} {
		e := event("CONNECT", "")
		e.Headers, e.MultiValueHeaders = c.one, c.many
		r, err := g.Connect(t.Context(), e)
		if err != nil || r.StatusCode != c.want || r.Body != "" || len(r.Headers) > 0 {
			t.Errorf("token %s: got %+v and the error %v, want %d alone", name, r, err, c.want)
		}
	}
	if n, _ := o.got(); n != 0 {
		t.Errorf("got %d messages at the origin, want none", n)
	}
}

func TestADisconnectIsToldToTheConfiguredOrigin(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	g, _ := newGate(t, o.URL)
	r, err := g.Disconnect(t.Context(), event("DISCONNECT", ""))
	n, h := o.got()
	if err != nil || r.StatusCode != http.StatusOK || n != 1 || h.Event != wire.Disconnect || h.Conn != testConn {
		t.Errorf("got %d, the error %v and %d messages, the last %+v, want 200 and a disconnect", r.StatusCode, err, n, h)
	}
}

func TestAGateOfTheLastGenerationStillOpens(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	g, _ := newGate(t, o.URL)
	g.cfg.Keys = append(testKeys(t, "n"), g.cfg.Keys...)
	g.tickets = wire.NewTickets(g.cfg.Keys)
	wantStatus(t, g, event("MESSAGE", up(token(t), "", "frames")), http.StatusOK)
	wantStatus(t, g, messageTo(t, o.URL), http.StatusOK)
}

func TestAGateWantsCompleteSettings(t *testing.T) {
	t.Parallel()
	good := func() Config {
		return Config{Keys: testKeys(t, "k"), Origin: &url.URL{Scheme: "http", Host: "10.0.1.7:8080"}, API: "api", Stage: "v1"}
	}
	if _, err := New(good()); err != nil {
		t.Fatalf("got %v, want no error", err)
	}
	for name, c := range map[string]struct {
		spoil func(*Config)
		want  string
	}{
		"no key":       {func(c *Config) { c.Keys = nil }, "gate secret"},
		"no origin":    {func(c *Config) { c.Origin = nil }, "http://10.0.1.7:8080"},
		"no host":      {func(c *Config) { c.Origin.Host = "" }, "http://10.0.1.7:8080"},
		"no host name": {func(c *Config) { c.Origin.Host = ":8080" }, "http://10.0.1.7:8080"},
		"no scheme":    {func(c *Config) { c.Origin.Scheme = "" }, "http://10.0.1.7:8080"},
		"a socket":     {func(c *Config) { c.Origin.Scheme = "ws" }, "http://10.0.1.7:8080"},
		"a path":       {func(c *Config) { c.Origin.Path = "/door" }, "take the rest away"},
		"a password":   {func(c *Config) { c.Origin.User = url.User("x") }, "take the rest away"},
		"no API":       {func(c *Config) { c.API = "" }, "requestContext"},
		"no stage":     {func(c *Config) { c.Stage = "" }, "requestContext"},
	} {
		config := good()
		c.spoil(&config)
		if _, err := New(config); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got the error %v, want one that says %q", name, err, c.want)
		}
	}
}
