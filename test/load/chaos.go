package main

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"culvert/internal/cost"
	"culvert/internal/whatsapp"
	"culvert/test/app"
	"culvert/test/ports"
	"culvert/test/standin"
)

// chaos is media both ways and chat through the gateway door while functions are
// killed, the API is gone for a moment, and strangers ask the origin.
type chaos struct {
	*gateway
	user
	client *program

	killed, asked int
	said          int           // messages of chat
	slowest       time.Duration // of them
}

func runChaos(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("load chaos", flag.ContinueOnError)
	programs := f.String("programs", "bin", "`FOLDER` with culvert, origin, local and lambda/*/bootstrap, built for this machine")
	size := f.Int64("mb", 64, "`MEGABYTES` of media each way")
	limit := f.Duration("limit", 5*time.Minute, "how long it may take")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *size < 1 || *size > standin.MaxMedia>>20 || *limit <= 0 {
		return fmt.Errorf("-mb is 1 to %d, -limit a time", standin.MaxMedia>>20)
	}
	ctx, stop := context.WithTimeout(ctx, *limit)
	defer stop()
	return withGateway(*programs, func(g *gateway) error {
		c := &chaos{gateway: g, user: user{size: *size << 20}}
		if err := c.run(ctx); err != nil {
			return err
		}
		return c.tell()
	})
}

func (c *chaos) run(ctx context.Context) error {
	defer c.gateway.end()
	chat, media, err := c.startStandIn()
	if err != nil {
		return err
	}
	defer c.standIn.Close()
	defer func() { c.client.end() }()
	for _, step := range []func(context.Context) error{
		func(ctx context.Context) error { return c.startOrigin(ctx, chat, media) },
		func(ctx context.Context) error { return c.saveTrust(ctx, media) },
		c.startEdge, c.makeLink, c.doctor, c.startClient, c.storm, c.doctor,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// startStandIn starts what is in WhatsApp's place, in this process.
func (c *chaos) startStandIn() (chat, media string, err error) {
	if c.standIn, err = standin.New(); err != nil {
		return "", "", err
	}
	if chat, err = serve(c.standIn.ServeChat); err == nil {
		media, err = serve(c.standIn.ServeMedia)
	}
	return chat, media, err
}

// serve listens for what runs until it is closed, and returns the address.
func serve(run func(net.Listener) error) (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go run(ln)
	return ln.Addr().String(), nil
}

// culvert runs the program with these arguments.
func (c *chaos) culvert(ctx context.Context, args ...string) ([]byte, error) {
	out, err := exec.CommandContext(ctx, filepath.Join(c.programs, "culvert"), args...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("culvert %s: %w\n%s", args[0], err, out)
	}
	return out, nil
}

func (c *chaos) makeLink(ctx context.Context) error {
	link, err := c.culvert(ctx, "link", "new", "--user", "1", "--secret-file", c.file("secret"), "--gate-file", c.file("gate"),
		"--front", "wss://"+c.edgeAt+"/v1;door=gateway", "--pin", c.file("cert.pem"))
	if err != nil {
		return err
	}
	return os.WriteFile(c.file("link"), link, 0o600)
}

// saveTrust keeps what doctor needs to take the stand-in for WhatsApp.
func (c *chaos) saveTrust(ctx context.Context, media string) error {
	d := tls.Dialer{Config: &tls.Config{ServerName: whatsapp.MediaHost, RootCAs: c.standIn.CAs()}}
	conn, err := d.DialContext(ctx, "tcp", media)
	if err != nil {
		return err
	}
	defer conn.Close()
	chain := conn.(*tls.Conn).ConnectionState().VerifiedChains[0]
	return c.writePEM("media-ca", "CERTIFICATE", chain[len(chain)-1].Raw)
}

// doctor is the whole way, as a person checks it.
func (c *chaos) doctor(ctx context.Context) error {
	root := c.standIn.Root()
	_, err := c.culvert(ctx, "doctor", "--link-file", c.file("link"), "--chat-root", hex.EncodeToString(root[:]), "--media-ca", c.file("media-ca"))
	return err
}

func (c *chaos) startClient(ctx context.Context) (err error) {
	c.chatAt, c.mediaAt = ports.Loopback(), ports.Loopback()
	c.client, err = start(ctx, c.file("client.log"), filepath.Join(c.programs, "culvert"), nil,
		"connect", "--link-file", c.file("link"), "--chat", c.chatAt, "--media", c.mediaAt, "--state", "none")
	if err != nil {
		return err
	}
	return errors.Join(c.client.listens(ctx, c.chatAt), c.client.listens(ctx, c.mediaAt))
}

// storm moves the media with everything else beside, whose first failure ends it.
func (c *chaos) storm(ctx context.Context) error {
	during, end := context.WithCancelCause(ctx)
	defer end(nil)
	var beside sync.WaitGroup
	for _, do := range []func() error{
		func() error { return c.talk(during) },
		func() error { return c.pester(during) },
		func() error { return c.destroy(ctx, during) },
	} {
		beside.Go(func() {
			if err := do(); err != nil {
				end(err)
			}
		})
	}
	err := c.media(during)
	end(nil)
	beside.Wait()
	if cause := context.Cause(during); cause != context.Canceled {
		err = errors.Join(cause, err)
	}
	return err
}

func (c *chaos) talk(ctx context.Context) (err error) {
	if c.said, c.slowest, err = c.chat(ctx); err != nil {
		return fmt.Errorf("chat: %w", err)
	}
	return nil
}

func (c *chaos) pester(ctx context.Context) (err error) {
	c.asked, err = pester(ctx, c.originAt)
	return err
}

// killEvery is how many bytes come for each function that is killed, at least.
const killEvery = 128 << 10

// destroy kills an instance of a function now and then, while bytes come, so that a slow machine has as many killed
// for as many bytes. It restarts the edge, which outlives the storm, when half of them have come.
func (c *chaos) destroy(ctx, during context.Context) error {
	for came := int64(0); ; {
		select {
		case <-during.Done():
			return nil
		case <-time.After(rand.N(60 * time.Millisecond)):
		}
		if c.moved.Load() < came+killEvery {
			continue
		}
		came = c.moved.Load()
		c.kill()
		if c.edges == 1 && c.moved.Load() > c.size {
			c.edge.end()
			if err := c.startEdge(ctx); err != nil {
				return fmt.Errorf("restart edge: %w", err)
			}
		}
	}
}

// kill ends an instance at once, whatever it does.
func (c *chaos) kill() {
	all := childrenOf(c.edge.Process.Pid)
	if len(all) == 0 {
		return
	}
	p, err := os.FindProcess(all[rand.N(len(all))].pid)
	if err == nil && p.Kill() == nil {
		c.killed++
	}
}

// tell says what happened, after all processes have ended.
func (c *chaos) tell() error {
	use, err := c.use()
	if err != nil {
		return err
	}
	if c.killed == 0 || c.edges != 2 || c.asked == 0 || c.said == 0 {
		return fmt.Errorf("got %d functions killed, %d edges, %d wrong requests and %d messages of chat, want some of each",
			c.killed, c.edges, c.asked, c.said)
	}
	dollars := cost.Total(cost.USEast1().Bill(use.Use(), cost.NothingFree))
	fmt.Printf("%d MB down, %d MB up and %d messages of chat (the slowest took %v): every byte once; %d functions killed, "+
		"the API restarted once, %d wrong requests answered by the website; AWS would have charged %.4f $ for %d messages and %d invocations\n",
		c.size>>20, c.size>>20, c.said, c.slowest.Round(time.Millisecond), c.killed, c.asked, dollars, use.Messages, use.Invocations)
	return nil
}

// user is what WhatsApp's app does, through a client's ports.
type user struct {
	chatAt, mediaAt string
	standIn         *standin.Server
	size            int64        // bytes of media each way
	moved           atomic.Int64 // bytes of media, of both
}

// chat sends messages over one connection, one after another, until ctx ends,
// and says how many came back as they were and how long the slowest took.
func (a *user) chat(ctx context.Context) (n int, slowest time.Duration, err error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", a.chatAt)
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close()
	trips, err := app.Exchange(ctx, conn, a.standIn.Root(), math.MaxInt)
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	for _, t := range trips {
		slowest = max(slowest, t)
	}
	return len(trips), slowest, err
}

// media downloads and uploads at once, each over one connection of its own that
// has to last.
func (a *user) media(ctx context.Context) error {
	errs := make(chan error, 2)
	transfers := map[string]func(*app.Media, context.Context, int64, func(io.Reader) io.Reader) error{
		"download": (*app.Media).Download, "upload": (*app.Media).Upload,
	}
	for name, do := range transfers {
		go func() {
			err := a.once(ctx, do)
			if err != nil {
				err = fmt.Errorf("%s: %w", name, err)
			}
			errs <- err
		}()
	}
	return errors.Join(<-errs, <-errs)
}

// once fails if more than one connection was needed.
func (a *user) once(ctx context.Context, do func(*app.Media, context.Context, int64, func(io.Reader) io.Reader) error) error {
	m := app.NewMedia(a.standIn.CAs(), app.Dial(a.mediaAt))
	defer m.Close()
	err := do(m, ctx, a.size, a.counted)
	if n := m.Dials(); n != 1 {
		err = errors.Join(err, fmt.Errorf("the app had to connect %d times", n))
	}
	return err
}

// counted counts what is read from r.
func (a *user) counted(r io.Reader) io.Reader { return counter{r, &a.moved} }

type counter struct {
	io.Reader
	n *atomic.Int64
}

func (c counter) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n.Add(int64(n))
	return n, err
}
