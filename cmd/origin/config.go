package main

import (
	"errors"
	"os"
	"time"

	"culvert/internal/seal"
	"culvert/internal/serve"
	"culvert/internal/wire"
)

// config is what the environment says; its tags are the manual.
type config struct {
	Listen       serve.Address `env:"CULVERT_LISTEN" envDefault:"127.0.0.1:8081" help:"host:port to listen on" try:":443"`
	TLS          serve.TLSFiles
	Secret       string             `env:"CULVERT_SECRET,unset" help:"the master secret, which 'culvert link secret' makes; leaves the environment once read. This or CULVERT_SECRET_FILE is required"`
	SecretFile   string             `env:"CULVERT_SECRET_FILE" help:"file that holds the master secret; or up to 4, one a line, the newest first: the links of all of them are good" try:"/etc/culvert/secret"`
	Gate         string             `env:"CULVERT_GATE,unset" help:"the gates' own secrets, 64 letters and digits each, the newest first, where edges have any; leaves the environment once read"`
	GateFile     string             `env:"CULVERT_GATE_FILE" help:"file that holds them, one a line" try:"/etc/culvert/gate"`
	Revoked      revocation         `env:"CULVERT_REVOKED" help:"numbers of the users whose links are void, with commas between; or a file with one a line, which is read again when it changes" sighup:"reread" try:"3,17"`
	Gateway      serve.URL          `env:"CULVERT_GATEWAY" help:"the stage of an API Gateway whose functions hand messages on to this origin, which posts back to it; needs CULVERT_ADVERTISE, and AWS credentials as the AWS command line finds them" try:"https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com/v1"`
	Advertise    advertised         `env:"CULVERT_ADVERTISE" help:"IP address and port where other origins and functions reach this one in their network, in plain HTTP. A port that is not CULVERT_LISTEN's, or a range to take a free one from, lets a new process take CULVERT_LISTEN over while this one drains" try:"10.0.1.7:8090-8099"`
	Admin        serve.AdminAddress `env:"CULVERT_ADMIN_LISTEN" envDefault:"127.0.0.1:9090" empty:"off" help:"host:port of /healthz and /metrics, or off" try:"127.0.0.1:9090"`
	DrainFor     time.Duration      `env:"CULVERT_DRAIN" envDefault:"30s" help:"how long connections may go on after SIGTERM" try:"30s"`
	MaxTunnels   int                `env:"CULVERT_MAX_TUNNELS" envDefault:"100000" help:"connections of all users' apps at once, about 10 kB of memory each when idle" try:"100000"`
	MaxCarriers  int                `env:"CULVERT_MAX_CARRIERS" envDefault:"50000" help:"WebSockets of all users at once" try:"50000"`
	Chat         serve.Address      `env:"CULVERT_UPSTREAM_CHAT" help:"host:port that stands in for WhatsApp's chat servers, for tests and private networks" try:"127.0.0.1:5222"`
	Media        serve.Address      `env:"CULVERT_UPSTREAM_MEDIA" help:"host:port that stands in for WhatsApp's media servers, for tests and private networks" try:"127.0.0.1:7777"`
	AllowPrivate bool               `env:"CULVERT_ALLOW_PRIVATE" help:"true lets the two above be addresses that are not public" try:"true"`

	masters []seal.Master // from Secret or SecretFile, the newest first
	gates   wire.GateKeys // from Gate or GateFile; nil: those that follow from masters
}

// Check finds what no single setting shows, and reads the files.
func (c *config) Check() []serve.SettingError {
	_, revoked := c.Revoked.read()
	return append(c.TLS.Check(),
		c.readSecret(),
		c.readGate(),
		c.checkGateway(),
		serve.Wrong("CULVERT_REVOKED", revoked, "CULVERT_REVOKED=3,17 or a file with one number a line"),
		serve.Positive("CULVERT_MAX_TUNNELS", c.MaxTunnels, "100000"),
		serve.Positive("CULVERT_MAX_CARRIERS", c.MaxCarriers, "50000"),
		serve.Positive("CULVERT_DRAIN", c.DrainFor, "30s"))
}

// readSecret fills masters and forgets the text.
func (c *config) readSecret() serve.SettingError {
	const try = "CULVERT_SECRET_FILE=/etc/culvert/secret, after 'culvert link secret > /etc/culvert/secret'"
	if c.Secret == "" && c.SecretFile == "" {
		return serve.SettingError{Name: "CULVERT_SECRET", Problem: "is not set, nor is CULVERT_SECRET_FILE", Try: try}
	}
	name, text, err := oneOf("CULVERT_SECRET", &c.Secret, c.SecretFile)
	if err == nil {
		c.masters, err = seal.ParseMasters(text)
	}
	return serve.Wrong(name, err, try)
}

// readGate fills gates and forgets the text.
func (c *config) readGate() serve.SettingError {
	if c.Gate == "" && c.GateFile == "" {
		return serve.SettingError{}
	}
	name, text, err := oneOf("CULVERT_GATE", &c.Gate, c.GateFile)
	if err == nil {
		c.gates, err = wire.ParseGateKeys(text)
	}
	return serve.Wrong(name, err, "CULVERT_GATE_FILE=/etc/culvert/gate with the secret that the edge has")
}

// oneOf gives a secret that is in a variable, which it empties, or in the file
// that the variable of that name and _FILE names. It says which of the two is
// wrong if there is an error.
func oneOf(name string, variable *string, file string) (which, text string, err error) {
	text, *variable = *variable, ""
	switch {
	case text != "" && file != "":
		return name, "", errors.New("is set, and so is " + name + "_FILE: which one is it?")
	case text != "":
		return name, text, nil
	}
	b, err := os.ReadFile(file)
	return name + "_FILE", string(b), err
}
