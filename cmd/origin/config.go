package main

import (
	"errors"
	"os"
	"time"

	"culvert/internal/seal"
	"culvert/internal/serve"
)

// config is what the environment says; its tags are the manual.
type config struct {
	Listen       serve.Address `env:"CULVERT_LISTEN" envDefault:"127.0.0.1:8081" help:"host:port to listen on" try:":443"`
	TLS          serve.TLSFiles
	Secret       string             `env:"CULVERT_SECRET,unset" help:"the master secret, which 'culvert link secret' makes; leaves the environment once read. This or CULVERT_SECRET_FILE is required"`
	SecretFile   string             `env:"CULVERT_SECRET_FILE" help:"file that holds the master secret" try:"/etc/culvert/secret"`
	Revoked      revocation         `env:"CULVERT_REVOKED" help:"numbers of the users whose links are void, with commas between; or a file with one a line, which is read again when it changes" try:"3,17"`
	Admin        serve.AdminAddress `env:"CULVERT_ADMIN_LISTEN" envDefault:"127.0.0.1:9090" empty:"off" help:"host:port of /healthz and /metrics, or off" try:"127.0.0.1:9090"`
	DrainFor     time.Duration      `env:"CULVERT_DRAIN" envDefault:"30s" help:"how long connections may go on after SIGTERM" try:"30s"`
	MaxTunnels   int                `env:"CULVERT_MAX_TUNNELS" envDefault:"100000" help:"connections of all users' apps at once, about 20 kB of memory each when idle" try:"100000"`
	MaxCarriers  int                `env:"CULVERT_MAX_CARRIERS" envDefault:"50000" help:"WebSockets of all users at once" try:"50000"`
	Chat         serve.Address      `env:"CULVERT_UPSTREAM_CHAT" help:"host:port that stands in for WhatsApp's chat servers, for tests and private networks" try:"127.0.0.1:5222"`
	Media        serve.Address      `env:"CULVERT_UPSTREAM_MEDIA" help:"host:port that stands in for WhatsApp's media servers, for tests and private networks" try:"127.0.0.1:7777"`
	AllowPrivate bool               `env:"CULVERT_ALLOW_PRIVATE" help:"true lets the two above be addresses that are not public" try:"true"`

	master seal.Master // from Secret or SecretFile
}

// Check finds what no single setting shows, and reads the files.
func (c *config) Check() []serve.SettingError {
	name, err := c.readSecret()
	_, revoked := c.Revoked.read()
	return append(c.TLS.Check(),
		serve.Wrong(name, err, "CULVERT_SECRET_FILE=/etc/culvert/secret, after 'culvert link secret > /etc/culvert/secret'"),
		serve.Wrong("CULVERT_REVOKED", revoked, "CULVERT_REVOKED=3,17 or a file with one number a line"),
		serve.Positive("CULVERT_MAX_TUNNELS", c.MaxTunnels, "100000"),
		serve.Positive("CULVERT_MAX_CARRIERS", c.MaxCarriers, "50000"),
		serve.Positive("CULVERT_DRAIN", c.DrainFor, "30s"))
}

// readSecret fills master and forgets the text. It names the setting that is
// wrong with the error.
func (c *config) readSecret() (name string, err error) {
	text := c.Secret
	c.Secret = ""
	switch {
	case text == "" && c.SecretFile == "":
		return "CULVERT_SECRET", errors.New("is not set, nor is CULVERT_SECRET_FILE")
	case text != "" && c.SecretFile != "":
		return "CULVERT_SECRET", errors.New("is set, and so is CULVERT_SECRET_FILE: which one is it?")
	case text != "":
		c.master, err = seal.ParseMaster(text)
		return "CULVERT_SECRET", err
	}
	b, err := os.ReadFile(c.SecretFile)
	if err == nil {
		c.master, err = seal.ParseMaster(string(b))
	}
	return "CULVERT_SECRET_FILE", err
}
