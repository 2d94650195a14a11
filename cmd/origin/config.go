package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"culvert/internal/seal"
	"culvert/internal/secret"
	"culvert/internal/serve"
	"culvert/internal/site"
	"culvert/internal/wire"
	"culvert/origin"
)

// config is what the environment says; its tags are the manual.
type config struct {
	Listen       serve.Address `env:"CULVERT_LISTEN" envDefault:"127.0.0.1:8081" help:"host:port to listen on" try:":443"`
	TLS          serve.TLS
	SecretFile   string             `env:"CULVERT_SECRET_FILE" help:"required: the file that holds the master secret, which 'culvert link secret' makes, and that nobody else can read; or up to 4, one a line, the newest first: the links of all of them are good. - is the standard input" try:"/etc/culvert/secret"`
	GateFile     string             `env:"CULVERT_GATE_FILE" help:"file that holds the gates' own secrets, one a line, 64 letters and digits each, the newest first, where edges have any" try:"/etc/culvert/gate"`
	Revoked      revocation         `env:"CULVERT_REVOKED" help:"numbers of the users whose links are void, with commas between; or a file with one a line, which is read again when it changes" sighup:"reread" try:"3,17"`
	Fronts       publication        `env:"CULVERT_FRONTS" help:"file of lists of fronts that came after the links, which 'culvert link fronts' makes and of which clients are told; read again when it changes" sighup:"reread" try:"/etc/culvert/fronts"`
	Gateway      serve.URL          `env:"CULVERT_GATEWAY" help:"the stage of an API Gateway whose functions hand messages on to this origin, which posts back to it; needs CULVERT_ADVERTISE, and AWS credentials, by CULVERT_GATEWAY_CREDENTIALS or as the AWS command line finds them" try:"https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com/v1"`
	Posts        credentialsFile    `env:"CULVERT_GATEWAY_CREDENTIALS" help:"file with the AWS credentials to post back by, as credential_process prints them; read again before they expire" try:"/run/culvert-posts/credentials"`
	Advertise    advertised         `env:"CULVERT_ADVERTISE" help:"IP address and port where other origins and functions reach this one in their network, in plain HTTP. A port that is not CULVERT_LISTEN's, or a range to take a free one from, lets a new process take CULVERT_LISTEN over while this one drains" try:"10.0.1.7:8090-8099"`
	Admin        serve.AdminAddress `env:"CULVERT_ADMIN_LISTEN" envDefault:"127.0.0.1:9090" empty:"off" help:"host:port of /healthz and /metrics, or off" try:"127.0.0.1:9090"`
	DrainFor     time.Duration      `env:"CULVERT_DRAIN" envDefault:"30s" help:"how long connections may go on after SIGTERM" try:"30s"`
	MaxTunnels   int                `env:"CULVERT_MAX_TUNNELS" envDefault:"100000" help:"connections of all users' apps at once, about 8 kB of memory each when idle; users and their sessions share them" try:"100000"`
	MaxCarriers  int                `env:"CULVERT_MAX_CARRIERS" envDefault:"50000" help:"WebSockets of all users at once, shared like these" try:"50000"`
	Site         site.Setting       `env:"CULVERT_SITE" help:"the website that strangers see: soups, walkers, panaderia, foto, sabbak, farsh, caifeng or panchan (en, en, es, ru, ar, fa, zh, my), perhaps with a seed for its name and colours and with a name of your own, as in 'panaderia:1a2b3c?name=Horno+Viejo'; or a folder's absolute path; or the URL of another website, whose pages are shown. Without it one of the embedded follows from the gate's secret" try:"/srv/www"`
	Limits       serve.Limits
	Chat         serve.Address `env:"CULVERT_UPSTREAM_CHAT" help:"host:port that stands in for WhatsApp's chat servers, for tests and private networks" try:"127.0.0.1:5222"`
	Media        serve.Address `env:"CULVERT_UPSTREAM_MEDIA" help:"host:port that stands in for WhatsApp's media servers, for tests and private networks" try:"127.0.0.1:7777"`
	AllowPrivate bool          `env:"CULVERT_ALLOW_PRIVATE" help:"true lets the two above be addresses that are not public" try:"true"`

	serve.LogSettings

	masters []seal.Master // from SecretFile, the newest first
	gates   wire.GateKeys // from GateFile; nil: those that follow from masters
	shown   http.Handler  // from Site
	lists   *frontLists   // from Fronts; nil: there are none
}

// Check finds what no single setting shows, and reads the files.
func (c *config) Check() []serve.SettingError {
	_, revoked := c.Revoked.read()
	secret := c.readSecret()
	return append(c.TLS.Check(),
		misplaced("CULVERT_SECRET"),
		misplaced("CULVERT_GATE"),
		secret,
		c.readGate(),
		c.openSite(),
		c.Posts.check(),
		c.checkGateway(),
		serve.Wrong("CULVERT_REVOKED", revoked, "CULVERT_REVOKED=3,17 or a file with one number a line"),
		serve.Positive("CULVERT_MAX_TUNNELS", c.MaxTunnels, "100000"),
		serve.Positive("CULVERT_MAX_CARRIERS", c.MaxCarriers, "50000"),
		c.Limits.Check(),
		serve.Apart(serve.Listens{Name: "CULVERT_LISTEN", At: c.Listen}, serve.Listens{Name: "CULVERT_ADMIN_LISTEN", At: serve.Address(c.Admin)}),
		serve.Positive("CULVERT_DRAIN", c.DrainFor, "30s"))
}

// misplaced refuses a secret in the environment, where other programs can read it for as
// long as this one runs.
func misplaced(name string) serve.SettingError {
	if os.Getenv(name) == "" {
		return serve.SettingError{}
	}
	return serve.SettingError{Name: name, Problem: "is in the environment, which other programs can read",
		Try: name + "_FILE=/etc/culvert/" + strings.ToLower(strings.TrimPrefix(name, "CULVERT_"))}
}

// readSecret fills masters.
func (c *config) readSecret() serve.SettingError {
	const try = "CULVERT_SECRET_FILE=/etc/culvert/secret, after '(umask 077; culvert link secret > /etc/culvert/secret)'"
	if c.SecretFile == "" {
		return serve.SettingError{Name: "CULVERT_SECRET_FILE", Problem: "is not set", Try: try}
	}
	text, err := secret.Read(c.SecretFile, os.Stdin)
	if err == nil {
		c.masters, err = seal.ParseMasters(text)
	}
	return serve.Wrong("CULVERT_SECRET_FILE", err, try)
}

// readGate fills gates.
func (c *config) readGate() serve.SettingError {
	if c.GateFile == "" {
		return serve.SettingError{}
	}
	if c.GateFile == "-" && c.SecretFile == "-" {
		return serve.SettingError{Name: "CULVERT_GATE_FILE", Problem: "is the standard input, and so is CULVERT_SECRET_FILE: it holds one of them",
			Try: "CULVERT_GATE_FILE=/etc/culvert/gate, and the master secret by the standard input"}
	}
	text, err := secret.Read(c.GateFile, os.Stdin)
	if err == nil {
		c.gates, err = wire.ParseGateKeys(text)
	}
	return serve.Wrong("CULVERT_GATE_FILE", err, "CULVERT_GATE_FILE=/etc/culvert/gate with the secret that the edge has")
}

// website is the one that follows from the gate's secret: deployments show different ones.
func (c *config) website() site.Choice {
	switch {
	case c.gates != nil:
		return site.Choice{Seed: c.gates[0].Website()}
	case c.masters != nil:
		return site.Choice{Seed: c.masters[0].GateKey().Website()}
	}
	return site.Choice{}
}

// openSite fills shown, once the secrets were read.
func (c *config) openSite() serve.SettingError {
	var err error
	c.shown, err = c.Site.Open(c.website())
	return serve.Wrong("CULVERT_SITE", err, "CULVERT_SITE=/srv/www, a folder with index.html that this user may read")
}

// advertised is CULVERT_ADVERTISE: an IP address and the ports that one is
// taken from, of which 0 is any free one. The zero value is none.
type advertised struct {
	ip          netip.Addr
	first, last uint16
}

var errAdvertised = errors.New("is not an IP address with a port or a range of ports behind it")

// UnmarshalText refuses what nobody could reach.
func (a *advertised) UnmarshalText(b []byte) error {
	host, ports, err := net.SplitHostPort(string(b))
	ip, bad := netip.ParseAddr(host)
	if err != nil || bad != nil || ip.Zone() != "" {
		return errAdvertised
	}
	if ip.IsUnspecified() || ip.IsMulticast() {
		return errors.New("is no address of one machine")
	}
	first, last, isRange := strings.Cut(ports, "-")
	if !isRange {
		last = first
	}
	a.ip = ip.Unmap()
	if a.first, err = portOf(first); err == nil {
		a.last, err = portOf(last)
	}
	if err != nil || a.first > a.last || isRange && a.first == 0 {
		return errAdvertised
	}
	return nil
}

func portOf(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err
}

func (a advertised) isSet() bool { return a.ip.IsValid() }

// shares reports whether the port is that of the main listener.
func (a advertised) shares(listen serve.Address) bool {
	_, port, _ := net.SplitHostPort(string(listen)) // checked when it was read
	return a.first == a.last && port == strconv.Itoa(int(a.first)) && a.first != 0
}

// listen takes the first free port. It returns the address to advertise, and no
// listener if the main one serves it, too.
func (a advertised) listen(main serve.Address) (netip.AddrPort, net.Listener, error) {
	if !a.isSet() || a.shares(main) {
		return netip.AddrPortFrom(a.ip, a.first), nil, nil
	}
	var err error
	for port := int(a.first); port <= int(a.last); port++ {
		at := netip.AddrPortFrom(a.ip, uint16(port))
		var ln net.Listener
		if ln, err = net.Listen("tcp", at.String()); err == nil {
			return netip.AddrPortFrom(a.ip, uint16(ln.Addr().(*net.TCPAddr).Port)), ln, nil
		}
	}
	return netip.AddrPort{}, nil, fmt.Errorf("CULVERT_ADVERTISE: is it an address of this machine, and is a port free? %w", err)
}

// revocation is CULVERT_REVOKED as it was written: numbers, or a file's name.
type revocation string

// errRevoked does not say which line: a list of users is nobody's business.
var errRevoked = errors.New("holds something that is no user's number")

// watch returns what tells whether a user's links are void; nil: nobody's are.
func (v revocation) watch(files *serve.Files) (func(user uint32) bool, error) {
	if v == "" {
		return nil, nil
	}
	var names []string
	if !v.isList() {
		names = []string{string(v)}
	}
	list, err := serve.Watch(files, "CULVERT_REVOKED", names, v.read)
	if err != nil {
		return nil, err
	}
	return func(user uint32) bool { return list.Get()[user] }, nil
}

// isList reports whether v is the numbers themselves.
func (v revocation) isList() bool { return strings.Trim(string(v), "0123456789, ") == "" }

func (v revocation) read() (map[uint32]bool, error) {
	if v.isList() {
		return parseRevoked(string(v))
	}
	text, err := os.ReadFile(string(v))
	if err != nil {
		return nil, err
	}
	return parseRevoked(string(text))
}

// parseRevoked reads numbers with commas, spaces or line ends between. What
// follows a # on a line is a comment.
func parseRevoked(text string) (map[uint32]bool, error) {
	users := map[uint32]bool{}
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		for _, word := range strings.FieldsFunc(line, func(c rune) bool { return strings.ContainsRune(", \t\r\n", c) }) {
			n, err := strconv.ParseUint(word, 10, 32)
			if err != nil {
				return nil, errRevoked
			}
			users[uint32(n)] = true
		}
	}
	return users, nil
}

// executeAPI is the host of an API Gateway, which names its region.
var executeAPI = regexp.MustCompile(`^[a-z0-9]+\.execute-api\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?$`)

func (c *config) checkGateway() serve.SettingError {
	if c.Gateway.Host != "" && !c.Advertise.isSet() {
		return serve.SettingError{Name: "CULVERT_ADVERTISE", Problem: "is not set, but CULVERT_GATEWAY is: functions must reach this origin",
			Try: "CULVERT_ADVERTISE=10.0.1.7:8080"}
	}
	return serve.SettingError{}
}

// gateway finds the credentials: of the file, or else of the environment or the machine's
// role. They are asked for when they are needed first.
func (c *config) gateway(ctx context.Context) (origin.Gateway, error) {
	if c.Gateway.Host == "" {
		return origin.Gateway{}, nil
	}
	found := aws.Config{Region: os.Getenv("AWS_REGION"), Credentials: c.Posts.provider()}
	if c.Posts == "" {
		var err error
		if found, err = awsconfig.LoadDefaultConfig(ctx); err != nil {
			return origin.Gateway{}, serve.SettingError{Name: "CULVERT_GATEWAY", Problem: "the AWS settings cannot be read: " + err.Error(),
				Try: "to run 'aws sts get-caller-identity' as this user"}
		}
	}
	region := found.Region
	if m := executeAPI.FindStringSubmatch(c.Gateway.Hostname()); m != nil {
		region = m[1]
	}
	if region == "" {
		return origin.Gateway{}, serve.SettingError{Name: "CULVERT_GATEWAY", Problem: "names no region, nor does AWS_REGION", Try: "AWS_REGION=eu-west-1"}
	}
	return origin.Gateway{URL: &c.Gateway.URL, Region: region, Credentials: found.Credentials}, nil
}
