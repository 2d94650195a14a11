package hostile

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"culvert/internal/seal"
	"culvert/test/ports"
)

// world is a real origin with the settings of the smallest machine of the cloud, on plain
// HTTP as behind a CDN, a real edge with TLS before it, and what the origin takes for
// WhatsApp: it sends back what it gets.
type world struct {
	testing.TB
	dir    string
	master seal.Master
	secret string // file
	far    string // what stands in for WhatsApp
	origin *program
	door   string // of the origin
	admin  string // of the origin
	edge   *program
	front  string // of the edge
	cert   string // of the edge, a file

	settings []string // of the origin, beside those that all have
	program  string   // that is the origin

	other *world // apart; nil until it is asked for
	first *user  // honest; nil until it is asked for
}

// nano is the settings of a machine with 512 MiB, as infra/host/update makes them.
var nano = []string{"CULVERT_MAX_TUNNELS=8738", "CULVERT_MAX_CARRIERS=6553", "GOMEMLIMIT=209715KiB"}

// newWorld makes one, whose origin has more settings.
func newWorld(t testing.TB, more ...func(*world) []string) *world {
	t.Helper()
	return newWorldWith(t, echoing(t), more...)
}

// newWorldWith is newWorld with far in WhatsApp's place.
func newWorldWith(t testing.TB, far string, more ...func(*world) []string) *world {
	t.Helper()
	w := &world{TB: t, dir: t.TempDir(), master: seal.NewMaster(), program: "origin"}
	w.secret = write(t, w.master.Text()+"\n", w.dir, "secret")
	w.far = far
	w.door, w.admin, w.front = ports.Loopback(), ports.Loopback(), ports.Loopback()
	w.settings = slices.Clone(nano)
	for _, f := range more {
		w.settings = append(w.settings, f(w)...)
	}
	w.startOrigin()
	w.certify()
	w.edge = start(t, "edge", []string{
		"CULVERT_LISTEN=" + w.front, "CULVERT_ORIGIN=http://" + w.door, "CULVERT_TLS_CERT=" + w.cert,
		"CULVERT_TLS_KEY=" + filepath.Join(w.dir, "key.pem"), "CULVERT_DRAIN=1s",
	})
	w.edge.up(w.front)
	return w
}

// startOrigin starts the origin, perhaps once more.
func (w *world) startOrigin() {
	w.Helper()
	w.origin = start(w, w.program, append([]string{
		"CULVERT_LISTEN=" + w.door, "CULVERT_SECRET_FILE=" + w.secret, "CULVERT_ADMIN_LISTEN=" + w.admin,
		"CULVERT_UPSTREAM_CHAT=" + w.far, "CULVERT_UPSTREAM_MEDIA=" + w.far, "CULVERT_ALLOW_PRIVATE=true", "CULVERT_DRAIN=1s",
	}, w.settings...))
	w.origin.up(w.door)
}

// echoing sends back what comes, by every connection, for as long as it lasts.
func echoing(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c})
			}()
		}
	}()
	return ln.Addr().String()
}

// user is an honest user: "culvert connect" with a link of its own, by the edge.
type user struct {
	*program
	w    *world
	chat string
}

func (w *world) user(number int, flags ...string) *user {
	w.Helper()
	return w.userBy(number, []string{w.front}, flags...)
}

// userBy is user, by fronts at these addresses.
func (w *world) userBy(number int, fronts []string, flags ...string) *user {
	w.Helper()
	words := []string{"link", "new", "--secret-file", w.secret, "--user", fmt.Sprint(number), "--pin", w.cert}
	for _, at := range fronts {
		words = append(words, "--front", "wss://"+at+"/;sni=none")
	}
	link := output(w, "culvert", words...)
	file := write(w, link, w.TempDir(), "link")
	u := &user{w: w, chat: ports.Loopback()}
	if slices.Contains(flags, "--lan") {
		_, port, _ := net.SplitHostPort(u.chat)
		u.chat = net.JoinHostPort(phone(0), port)
	}
	args := append([]string{"connect", "--link-file", file, "--chat", u.chat, "--media", u.chat, "--state", "none"}, flags...)
	u.program = start(w, "culvert", nil, args...)
	u.up(u.chat)
	return u
}

// opening is what the app begins its chat with.
const opening = "WA\x06\x03"

// talk is a chat: a message each pause for as long as said, every one of which comes back.
// The error says what cut it.
func (u *user) talk(pause, during time.Duration) (trips, error) {
	return u.talkFrom("", pause, during)
}

// talkFrom is talk, from an address.
func (u *user) talkFrom(from string, pause, during time.Duration) (trips, error) {
	c, err := dialFrom(from, u.chat)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var all trips
	for end := time.Now().Add(during); time.Now().Before(end); time.Sleep(pause) {
		began := time.Now()
		if err := echo(c, len(all) == 0, 64); err != nil {
			return all, fmt.Errorf("message %d: %w", len(all)+1, err)
		}
		all = append(all, time.Since(began))
	}
	return all, nil
}

// echo sends size bytes and wants them back.
func echo(c net.Conn, first bool, size int) error {
	sent := make([]byte, size)
	rand.Read(sent)
	if first {
		copy(sent, opening)
	}
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := c.Write(sent); err != nil {
		return err
	}
	got := make([]byte, size)
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if !bytes.Equal(sent, got) {
		return fmt.Errorf("other bytes came back")
	}
	return nil
}

// opens opens n chats at once and returns how many bring a message back, and how long
// the slowest of them took.
func (u *user) opens(n int) (admitted int, slowest time.Duration) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			began := time.Now()
			c, err := net.Dial("tcp", u.chat)
			if err != nil {
				return
			}
			defer c.Close()
			if echo(c, true, 64) == nil {
				mu.Lock()
				defer mu.Unlock()
				admitted, slowest = admitted+1, max(slowest, time.Since(began))
			}
		})
	}
	all.Wait()
	return admitted, slowest
}

// moves has n bytes go and come back by one connection, and returns MB a second.
func (u *user) moves(n int) (rate float64, err error) {
	c, err := net.Dial("tcp", u.chat)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	began := time.Now()
	go io.Copy(c, io.MultiReader(strings.NewReader(opening), io.LimitReader(zeros{}, int64(n-len(opening)))))
	got, err := io.CopyN(io.Discard, c, int64(n))
	return float64(got) / 1e6 / time.Since(began).Seconds(), err
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// trips are how long each message of a chat took to come back.
type trips []time.Duration

// at is the time within which a part of them came back.
func (t trips) at(part float64) time.Duration {
	if len(t) == 0 {
		return 0
	}
	all := slices.Sorted(slices.Values(t))
	return all[min(len(all)-1, int(part*float64(len(all))))].Round(10 * time.Microsecond)
}

func (t trips) String() string {
	return fmt.Sprintf("%d messages, p50 %v, p99 %v, max %v", len(t), t.at(0.5), t.at(0.99), t.at(1))
}

// metrics are the origin's, by name with labels.
func (w *world) metrics() map[string]float64 {
	w.Helper()
	res, err := http.Get("http://" + w.admin + "/metrics")
	must(w, err)
	defer res.Body.Close()
	all := map[string]float64{}
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if n, err := strconv.ParseFloat(value, 64); err == nil {
			all[name] = n
		}
	}
	return all
}

// counted is the sum of the origin's metrics of a name, whose labels have these words.
func (w *world) counted(name string, labels ...string) (sum float64) {
	w.Helper()
	for full, n := range w.metrics() {
		has := func(label string) bool { return strings.Contains(full, label) }
		if base, _, _ := strings.Cut(full, "{"); base == name && !slices.ContainsFunc(labels, func(l string) bool { return !has(l) }) {
			sum += n
		}
	}
	return sum
}
