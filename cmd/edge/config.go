package main

import (
	"crypto/x509"
	"net/http"
	"os"
	"time"

	"culvert/internal/serve"
	"culvert/internal/site"
)

// config is what the environment says; its tags are the manual.
type config struct {
	Listen     serve.Address `env:"CULVERT_LISTEN" envDefault:"127.0.0.1:8080" help:"host:port to listen on" try:":443"`
	TLS        serve.TLS
	Origin     serve.URL          `env:"CULVERT_ORIGIN,required" help:"URL of the origin; a path in it is put before every request's" try:"https://origin.example"`
	OriginCA   string             `env:"CULVERT_ORIGIN_CA" help:"PEM file with whoever may sign the origin's certificate, or with that certificate itself; without it the system's authorities" try:"/etc/culvert/origin.pem"`
	Admin      serve.AdminAddress `env:"CULVERT_ADMIN_LISTEN" envDefault:"off" empty:"off" help:"host:port of /healthz and /metrics, or off" try:"127.0.0.1:9091"`
	DrainFor   time.Duration      `env:"CULVERT_DRAIN" envDefault:"20s" help:"how long WebSockets may go on after SIGTERM" try:"20s"`
	MaxSockets int                `env:"CULVERT_MAX_SOCKETS" envDefault:"10000" help:"WebSockets open at once, about 100 kB of memory each at most; when they get scarce the user with most loses the oldest" try:"10000"`
	Site       site.Setting       `env:"CULVERT_SITE" help:"the website that strangers see while the origin does not answer, as the origin's CULVERT_SITE has it; without it the one that the origin shows, unless that is a folder or another website" try:"panaderia:1a2b3c"`
	Limits     serve.Limits
	serve.LogSettings

	roots *x509.CertPool // from OriginCA
	shown http.Handler   // from Site; nil: the origin's
}

// Check finds what no single setting shows, and reads the files.
func (c *config) Check() []serve.SettingError {
	var err error
	c.roots, err = serve.Roots(c.OriginCA)
	var bad error
	if c.Site.IsSet() {
		c.shown, bad = c.Site.Open(site.Choice{})
	}
	return append(c.TLS.Check(),
		serve.Wrong("CULVERT_SITE", bad, "CULVERT_SITE=/srv/www, a folder with index.html that this user may read"),
		wrongDoor(os.Getenv("CULVERT_DOOR")),
		serve.Wrong("CULVERT_ORIGIN_CA", err, "CULVERT_ORIGIN_CA=/etc/culvert/origin.pem, a file in PEM form"),
		serve.Positive("CULVERT_MAX_SOCKETS", c.MaxSockets, "10000"),
		c.Limits.Check(),
		serve.Apart(serve.Listens{Name: "CULVERT_LISTEN", At: c.Listen}, serve.Listens{Name: "CULVERT_ADMIN_LISTEN", At: serve.Address(c.Admin)}),
		serve.Positive("CULVERT_DRAIN", c.DrainFor, "20s"))
}

// wrongDoor refuses CULVERT_DOOR: whoever asks for the emulated gateway must not
// get the stream door without a word.
func wrongDoor(door string) serve.SettingError {
	if door == "" || door == "stream" {
		return serve.SettingError{}
	}
	return serve.SettingError{Name: "CULVERT_DOOR", Problem: "an edge has the stream door alone",
		Try: "'bin/local gateway', which emulates Amazon API Gateway by the same settings"}
}
