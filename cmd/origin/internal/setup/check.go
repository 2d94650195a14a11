package setup

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"culvert/internal/dial"
	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/secret"
	"culvert/internal/serve"
	"culvert/internal/term"
	"culvert/internal/version"
)

// leastSystemd has credentials and their folder in the unit's settings.
const leastSystemd = 250

// check refuses a machine on which nothing of this can work.
func (h *host) check(ctx context.Context) error {
	if !h.exists("/run/systemd/system") {
		return errors.New("systemd does not run this machine: start the origin as docs/OPERATING.md says, or use the container image")
	}
	if !h.isRoot {
		return errors.New("only root can set up a service: run it again with sudo")
	}
	said, err := h.run(ctx, "systemctl", "--version")
	if err != nil {
		return err
	}
	if words := strings.Fields(said); len(words) > 1 {
		if v, err := strconv.Atoi(words[1]); err == nil && v < leastSystemd {
			return fmt.Errorf("systemd is of version %d here, and the unit needs %d or newer: use a newer system (Debian 12, Ubuntu 24.04), or the container image", v, leastSystemd)
		}
	}
	if built := version.Read().Time; h.now().Before(built) {
		return fmt.Errorf("the clock of this machine says %s, before this program was made: set it (timedatectl set-ntp true), as clients refuse a server whose clock is off",
			h.now().Format(time.DateTime))
	}
	if text := h.read(unitFile); text != "" && !strings.Contains(text, programs+"/%i/") {
		return fmt.Errorf("%s is of another installation: remove that first", unitFile)
	}
	return nil
}

// plan finds out what this machine is to be: what the command line says, or else what it was before.
func (h *host) plan(o *options) (*plan, error) {
	p := &plan{host: h, options: o, settings: values(h.read(settings)), port: h.current(), began: h.now()}
	if p.port == 0 {
		p.port = firstPort
	}
	if err := p.findPort(); err != nil {
		return nil, err
	}
	if o.name == "" && o.address == "" && len(o.fronts) == 0 {
		p.keep()
	}
	if err := p.findAddress(); err != nil {
		return nil, err
	}
	if err := p.checkPort(); err != nil {
		return nil, err
	}
	p.choose()
	return p, nil
}

// findPort has the port of the settings count unless the command line gives one.
func (p *plan) findPort() error {
	o, was := p.options, p.settings.get("CULVERT_LISTEN")
	if o.flags.Given("port") || was == "" {
		p.listen = ":" + strconv.Itoa(o.port)
		return nil
	}
	_, port, err := net.SplitHostPort(was)
	if err == nil {
		o.port, err = strconv.Atoi(port)
	}
	if err != nil {
		return fmt.Errorf("CULVERT_LISTEN in %s is not host:port: correct it, or give --port", settings)
	}
	p.listen = was
	return nil
}

// keep has what links name stay as it is, and who speaks TLS: users would be cut off by any other.
func (p *plan) keep() {
	o := p.options
	o.name = p.settings.get("CULVERT_ACME_NAME")
	was := p.read(frontFile)
	if was == "" {
		return
	}
	o.plain = p.settings.has("CULVERT_TLS_CERT", "")
	if f, err := link.ParseFront(strings.TrimSpace(was)); err == nil {
		host, _, err := net.SplitHostPort(f.Host)
		if err != nil {
			host = f.Host
		}
		if own, err := p.ownFront(host, p.settings.get("CULVERT_LISTEN")); err == nil && own == strings.TrimSpace(was) { // which follows the port
			if o.name == "" {
				o.address, p.isKept = host, true
			}
			return
		}
	}
	o.fronts = slices.Collect(strings.FieldsSeq(was))
}

// choose sets what the command line decides, and leaves all other settings as they are.
func (p *plan) choose() {
	o := p.options
	if p.settings == "" {
		p.settings = "# culvert-origin --help says what these mean, and which others there are.\n"
	}
	p.settings = p.settings.set("CULVERT_LISTEN", p.listen).set("CULVERT_ACME_NAME", o.name).set("CULVERT_REVOKED", revokedFile)
	for _, name := range []string{"CULVERT_TLS_CERT", "CULVERT_TLS_KEY"} { // empty is plain HTTP, and what the unit says else
		if has := p.settings.has(name, ""); has && !o.plain {
			p.settings = p.settings.set(name, "")
		} else if !has && o.plain {
			p.settings = p.settings.set(name, "") + values(name+"=\n")
		}
	}
	if o.name != "" && strings.Contains(p.read(frontFile), ";pin=") { // links were handed out that name the certificate
		p.settings = p.settings.set("CULVERT_ACME_UNNAMED", "true")
	}
	if o.acme != "" {
		p.settings = p.settings.set("CULVERT_ACME_URL", o.acme)
	}
	for _, s := range []struct{ name, value string }{{"CULVERT_ADVERTISE", "127.0.0.1:8090-8099"}, {"CULVERT_DRAIN", "15m"}} {
		if p.settings.get(s.name) == "" {
			p.settings = p.settings.set(s.name, s.value)
		}
	}
}

// findAddress finds what links are to name.
func (p *plan) findAddress() error {
	switch o := p.options; {
	case len(o.fronts) > 0:
		return nil
	case o.name != "":
		p.at = o.name
		return p.checkName()
	case o.address != "":
		ip, err := netip.ParseAddr(o.address)
		if err != nil || !ip.IsValid() || ip.Zone() != "" {
			return o.flags.Wrong("--address is an IP address, as 203.0.113.7")
		}
		p.at = ip.Unmap().String()
		return nil
	}
	ip := dial.LeadingOut()
	if !ip.IsValid() {
		return errors.New("this machine has no way to the internet, so no address that a link could name: give it with --address, or a name with --name")
	}
	if ip.IsPrivate() || ip.IsLoopback() {
		return fmt.Errorf("the address of this machine, %s, is of a private network: give the one at which the internet reaches it with --address, or a name with --name", ip)
	}
	p.at = ip.String()
	return nil
}

// checkName wants a name that resolves.
func (p *plan) checkName() error {
	if bad := (serve.ACME{Name: p.at}).Check(); bad.Name != "" {
		return p.options.flags.Wrong("--name %s, for example origin.example", bad.Problem)
	}
	if len(resolve(p.at)) == 0 {
		return fmt.Errorf("%s does not resolve: have it lead to this machine at your registrar's (an A record), and run this again in some minutes", p.at)
	}
	return nil
}

func resolve(name string) []string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	found, _ := net.DefaultResolver.LookupHost(ctx, name) // none is the answer that counts
	return found
}

// checkPort wants a port that is free, unless the origin has it already.
func (p *plan) checkPort() error {
	if p.current() != 0 && p.listen == p.settings.get("CULVERT_LISTEN") && p.health(context.Background(), p.port) == nil {
		return nil
	}
	ln, err := p.open("tcp", p.listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("another program has port %d (ss -ltnp names it): stop that, choose another with --port, or put the origin behind it as docs/OPERATING.md says", p.options.port)
	}
	if err != nil {
		return err
	}
	return ln.Close()
}

// hints are what a person is to look at: nothing is changed there.
func (p *plan) hints(ctx context.Context) (all []string) {
	if said, err := p.run(ctx, "ufw", "status"); err == nil && strings.Contains(said, "Status: active") {
		all = append(all, fmt.Sprintf("ufw is active; unless it lets the port through already: ufw allow %d/tcp", p.options.port))
	}
	if said, err := p.run(ctx, "firewall-cmd", "--state"); err == nil && strings.Contains(said, "running") {
		all = append(all, fmt.Sprintf("firewalld is active; unless it lets the port through already: firewall-cmd --permanent --add-port=%d/tcp && firewall-cmd --reload", p.options.port))
	}
	if said, err := p.run(ctx, "nft", "list", "ruleset"); err == nil && len(all) == 0 && strings.Contains(said, "hook input") && strings.Contains(said, "policy drop") {
		all = append(all, fmt.Sprintf("nftables drops what comes in; unless it lets the port through already, add a rule: tcp dport %d accept", p.options.port))
	}
	if found := resolve(p.at); p.options.name != "" && !slices.ContainsFunc(found, isOwn) {
		all = append(all, fmt.Sprintf("%s leads to %s, which is no address of this machine's own: right if that is forwarded here (a cloud's public address), and wrong otherwise", p.at, strings.Join(found, ", ")))
	}
	if p.isKept && !isOwn(p.at) {
		all = append(all, fmt.Sprintf("Links name %s as before, which is no address of this machine's own: right if that is forwarded here; else give the new one with --address", p.at))
	}
	return append(all, fmt.Sprintf("Port %d must be open in your provider's firewall, too, where there is one.", p.options.port))
}

func isOwn(address string) bool {
	own, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(own, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		return ok && n.IP.String() == address
	})
}

// makeCertificate makes one that nobody has signed.
func (p *plan) makeCertificate(context.Context) error {
	host := p.at
	if host == "" {
		host = "localhost"
	}
	pair, err := serve.SelfSigned(p.now(), host)
	if err != nil {
		return err
	}
	text, err := serve.PairPEM(*pair)
	if err != nil {
		return err
	}
	_, key := pem.Decode(text)
	if err := p.write(keyFile, string(key), 0o600); err != nil {
		return err
	}
	return p.write(certFile, string(text[:len(text)-len(key)]), 0o644)
}

// frontsWanted are what links are to name, as culvert link new takes them.
func (p *plan) frontsWanted() ([]string, error) {
	if len(p.options.fronts) > 0 {
		return p.options.fronts, nil
	}
	front, err := p.ownFront(p.at, p.listen)
	return []string{front}, err
}

// ownFront is what links name where nothing is before this machine, which listens there.
func (p *plan) ownFront(host, listen string) (string, error) {
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", err
	}
	front := "wss://" + net.JoinHostPort(host, port) + "/"
	if p.options.name == "" {
		pin, err := link.PinPEM([]byte(p.read(certFile)))
		if err != nil {
			return "", err
		}
		front += ";sni=none;pin=" + pin.String()
	}
	return front, nil
}

func (p *plan) hasFronts() bool {
	want, err := p.frontsWanted()
	return err == nil && p.read(frontFile) == strings.Join(want, "\n")+"\n"
}

func (p *plan) writeFronts(context.Context) error {
	want, err := p.frontsWanted()
	if err != nil {
		return err
	}
	return p.write(frontFile, strings.Join(want, "\n")+"\n", 0o644)
}

// linkFor makes a user's link.
func (h *host) linkFor(number uint32) (*link.Link, error) {
	text, err := secret.Read(h.path(secretFile), nil)
	if err != nil {
		return nil, err
	}
	masters, err := seal.ParseMasters(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", secretFile, err)
	}
	l := &link.Link{Keys: masters[0].Client(number)}
	for line := range strings.Lines(h.read(frontFile)) {
		front, err := link.ParseFront(strings.TrimSpace(line))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", frontFile, err)
		}
		l.Fronts = append(l.Fronts, front)
	}
	return l, l.Validate()
}

// signPatience is how long an authority may take.
const signPatience = 90 * time.Second

// awaitCertificate waits until strangers are shown a certificate that somebody has signed.
func (p *plan) awaitCertificate(ctx context.Context, out *term.Console) error {
	out.Show("… waiting for the certificate")
	defer out.Show("")
	ctx, cancel := context.WithTimeout(ctx, signPatience)
	defer cancel()
	if _, err := p.run(ctx, "systemctl", "reload", unit(p.port)); err != nil { // has it ask at once, also after a failure
		return err
	}
	for !p.isSigned(ctx) {
		said := p.reason(ctx)
		if said != "" || ctx.Err() != nil {
			return fmt.Errorf("%s has no certificate yet: correct that and run the same command again, which hands out the link then; with --address the server is reached by its address: %s", p.options.name, said)
		}
		select {
		case <-ctx.Done():
		case <-time.After(500 * time.Millisecond):
		}
	}
	out.Step(term.Good, 0, "certificate for %s", p.options.name)
	return nil
}

// reason is what the origin has said since this began of why it has no certificate, or empty.
func (p *plan) reason(ctx context.Context) string {
	said, _ := p.run(ctx, "journalctl", "--quiet", "--unit", unit(p.port), "--since", "@"+strconv.FormatInt(p.began.Unix(), 10), "--output", "cat") // without it the reason stays unsaid
	lines := strings.Split(said, "\n")
	i := slices.IndexFunc(lines, func(line string) bool { return strings.Contains(line, "cannot get a certificate") })
	if i < 0 {
		return ""
	}
	return lines[i]
}

func (p *plan) isSigned(ctx context.Context) bool {
	_, port, _ := net.SplitHostPort(p.settings.get("CULVERT_LISTEN"))
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: 5 * time.Second}, Config: &tls.Config{InsecureSkipVerify: true, ServerName: p.options.name}}
	c, err := d.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return false
	}
	defer c.Close()
	own, _ := pem.Decode([]byte(p.read(certFile)))
	shown := c.(*tls.Conn).ConnectionState().PeerCertificates[0]
	return own != nil && !bytes.Equal(shown.Raw, own.Bytes) && hasName(shown, p.options.name)
}

func hasName(c *x509.Certificate, name string) bool { return c.VerifyHostname(name) == nil }
