package e2e

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"culvert/client"
	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/serve"
	"culvert/origin"
)

// publisher is what an operator tells an origin of fronts.
type publisher struct {
	master seal.Master
	made   []uint32 // versions

	mu  sync.Mutex // guards the following
	all link.Published
}

func (p *publisher) find(key seal.PublicKey, user uint32) ([]byte, uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all.Book().For(key, user, time.Now())
}

// list is a new one.
func (p *publisher) list(withdrawn []link.Withdrawal, fronts ...link.Front) *link.List {
	p.made = append(p.made, uint32(time.Now().Unix())+uint32(len(p.made)))
	return &link.List{Version: p.made[len(p.made)-1], Expires: time.Now().Add(90 * 24 * time.Hour), Fronts: fronts, Withdrawn: withdrawn}
}

// publish has a group of users told of a list, and takes back what it was told before.
func (p *publisher) publish(t *testing.T, users string, l *link.List) uint32 {
	t.Helper()
	u, err := link.ParseUsers(users)
	must(t, err)
	signed, err := l.Sign(p.master)
	must(t, err)
	p.mu.Lock()
	defer p.mu.Unlock()
	var all link.Published
	for _, other := range p.all {
		if other.Users.String() != users {
			all = append(all, other)
		}
	}
	p.all = append(all, link.PublishedList{Users: u, Origin: p.master.PublicKey(), List: l, Signed: signed})
	return l.Version
}

// published is an origin behind a door, with what it tells of fronts.
type published struct {
	*publisher
	w     *world
	door  string // where clients come in
	front func(at string) link.Front
	plain string // where the stream door listens in the clear
	api   *api   // nil: it is the stream door
}

// atBothDoors runs a test at each.
func atBothDoors(t *testing.T, test func(t *testing.T, o *published)) {
	for _, door := range []string{"stream", "gateway"} {
		t.Run(door, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) { test(t, newPublished(w, door)) })
		})
	}
}

func newPublished(w *world, door string) *published {
	p := &publisher{master: w.master}
	o := &published{publisher: p, w: w, front: w.front}
	tell := func(c *origin.Config) { c.Fronts = p.find }
	if door == "stream" {
		far := w.advertised(tell, func(c *origin.Config) { c.Dial = w.dialUpstream })
		o.plain = far.addr
		o.door = w.serve(tls.NewListener(far.Wrap(w.net.listen(w)), serverTLS(certificate())), serve.Service{Handler: far}).addr
	} else {
		o.api = w.api(apiOptions{origin: tell})
		o.door, o.front = o.api.clients.addr, w.textFront
	}
	return o
}

// way is a front that leads to the door.
func (o *published) way() (*forwarder, link.Front) {
	f := o.w.forward(o.door)
	f.delay.Store(int64(10 * time.Millisecond))
	return f, o.front(f.addr())
}

// client is one that keeps what it learns in dir.
func (o *published) client(dir string, user uint32, fronts ...link.Front) *near {
	o.w.Helper()
	return o.w.clientOf(client.Config{Link: &link.Link{Keys: o.master.Client(user), Fronts: fronts}, Keep: dir})
}

// wantList waits until the client has a list, while its app talks now and then.
func (n *near) wantList(t *testing.T, c chat, version uint32) {
	t.Helper()
	for range 20 {
		if n.Status().List == version {
			return
		}
		if _, err := c.ping(30 * time.Second); err != nil {
			t.Fatal(err)
		}
		<-time.After(3 * time.Second)
	}
	t.Fatalf("the client has list %d, want %d", n.Status().List, version)
}

func (c chat) wants(t *testing.T, what string) {
	t.Helper()
	if _, err := c.ping(time.Minute); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func (f *forwarder) shut() {
	f.refuse.Store(true)
	f.kill()
}

// A list comes down a carrier that lives already; the front that it names takes over when the first one
// dies, in the middle of the app's connections, and is known after a restart.
func TestAFrontThatCameLaterOutlivesTheLinks(t *testing.T) {
	atBothDoors(t, func(t *testing.T, o *published) {
		one, first := o.way()
		_, second := o.way()
		dir := filepath.Join(t.TempDir(), "state")
		n := o.client(dir, 1, first).ready()
		c, down := n.chat(), n.download(1, 4<<20)
		c.wants(t, "by the link's front")
		n.wantList(t, c, o.publish(t, "all", o.list(nil, second)))
		if err := down.upTo(1<<20, time.Minute); err != nil {
			t.Fatal(err)
		}
		one.shut()
		c.wants(t, "by the front that came later")
		if err := down.rest(2 * time.Minute); err != nil {
			t.Error(err)
		}
		if s := n.Status(); s.Front != 1 || s.Later != 1 {
			t.Errorf("front %d is in use, and %d came later, want 1 and 1", s.Front, s.Later)
		}
		n.stop()
		n = o.client(dir, 1, first).ready()
		n.chat().wants(t, "after a restart")
		n.stop()
		one.refuse.Store(false)
		dials := one.dials.Load()
		o.client(dir, 1, first).ready()
		if got := one.dials.Load() - dials; got > 0 {
			t.Errorf("the link's front was dialled %d times, want the list's first", got)
		}
	})
}

// A front that is withdrawn is left for another in the middle of the app's connections, and never dialled again: not
// after a restart, and not when all else is dead.
func TestAFrontThatIsWithdrawnIsNotDialled(t *testing.T) {
	atBothDoors(t, func(t *testing.T, o *published) {
		one, first := o.way()
		two, second := o.way()
		dir := filepath.Join(t.TempDir(), "state")
		n := o.client(dir, 1, first).ready()
		c, down := n.chat(), n.download(1, 16<<20)
		c.wants(t, "by the link's front")
		if err := down.upTo(2<<20, time.Minute); err != nil {
			t.Fatal(err)
		}
		n.wantList(t, c, o.publish(t, "all", o.list([]link.Withdrawal{first.Withdrawal()}, second)))
		wantSoon(t, 2*time.Minute, "the front is left", func() bool { return one.open() == 0 })
		dials := one.dials.Load()
		c.wants(t, "by the front that came later")
		if err := down.rest(time.Minute); err != nil {
			t.Error(err)
		}
		two.shut()
		<-time.After(time.Minute)
		n.stop()
		n = o.client(dir, 1, first)
		<-time.After(time.Minute)
		two.refuse.Store(false)
		n.ready().chat().wants(t, "when the other is back")
		if got := one.dials.Load() - dials; got > 0 {
			t.Errorf("the front that is withdrawn was dialled %d times", got)
		}
	})
}

// An origin that has an older list, as one of a fleet may, takes nothing back; and one that has no list says nothing.
func TestAnOlderListIsRefused(t *testing.T) {
	atBothDoors(t, func(t *testing.T, o *published) {
		_, first := o.way()
		two, second := o.way()
		three, third := o.way()
		dir := filepath.Join(t.TempDir(), "state")
		older := o.list([]link.Withdrawal{second.Withdrawal()}, third)
		newer := o.list([]link.Withdrawal{first.Withdrawal()}, second)
		n := o.client(dir, 1, first).ready()
		c := n.chat()
		n.wantList(t, c, o.publish(t, "all", newer))
		o.publish(t, "all", older)
		for range 3 {
			two.kill()
			<-time.After(time.Minute)
			c.wants(t, "with an older list at the origin")
		}
		n.stop()
		n = o.client(dir, 1, first).ready()
		n.chat().wants(t, "after a restart")
		if s := n.Status(); s.List != newer.Version || three.dials.Load() > 0 {
			t.Errorf("list %d holds, and the older one's front was dialled %d times", s.List, three.dials.Load())
		}
	})
}

// A user hears of the fronts of their group, and of no others.
func TestAGroupsFrontsStayInIt(t *testing.T) {
	atBothDoors(t, func(t *testing.T, o *published) {
		ways, fronts := map[string]*forwarder{}, map[string]link.Front{}
		for _, name := range []string{"link", "1-5", "6,8", "all"} {
			ways[name], fronts[name] = o.way()
		}
		versions := map[string]uint32{}
		for _, users := range []string{"1-5", "6,8", "all"} {
			versions[users] = o.publish(t, users, o.list([]link.Withdrawal{fronts["link"].Withdrawal()}, fronts[users]))
		}
		for user, group := range map[uint32]string{3: "1-5", 8: "6,8", 7: "all"} {
			before := map[string]int64{}
			for name, f := range ways {
				before[name] = f.dials.Load()
			}
			n := o.client("", user, fronts["link"]).ready()
			c := n.chat()
			n.wantList(t, c, versions[group])
			wantSoon(t, 3*time.Minute, "the group's front is in use", func() bool { return n.Status().Front == 1 })
			c.wants(t, "by the group's front")
			for name, f := range ways {
				if got := f.dials.Load() - before[name]; name != "link" && (got > 0) != (name == group) {
					t.Errorf("user %d: the front of %s was dialled %d times", user, name, got)
				}
			}
			n.stop()
		}
	})
}

// Whoever's fronts are all dead pastes a new link of the same user's. Its fronts come first, though the
// list that was kept had withdrawn one of them; the next list holds again. What was learned is there yet.
func TestANewLinkComesBeforeAnOldList(t *testing.T) {
	atBothDoors(t, func(t *testing.T, o *published) {
		one, first := o.way()
		two, second := o.way()
		three, third := o.way()
		dir := filepath.Join(t.TempDir(), "state")
		n := o.client(dir, 1, first).ready()
		c := n.chat()
		old := o.list([]link.Withdrawal{third.Withdrawal()}, second)
		n.wantList(t, c, o.publish(t, "all", old))
		n.stop()
		one.shut()
		two.shut()
		n = o.client(dir, 1, third).ready()
		c = n.chat()
		c.wants(t, "by the new link")
		if three.dials.Load() == 0 {
			t.Error("the new link's front was not dialled")
		}
		two.refuse.Store(false)
		dials := two.dials.Load()
		wantSoon(t, 3*time.Minute, "the list comes again, and holds", func() bool { return three.open() == 0 && two.dials.Load() > dials })
		c.wants(t, "by the list's front")
		if got := n.Status().List; got != old.Version {
			t.Errorf("list %d holds, want %d", got, old.Version)
		}
	})
}

// What leads into a private network is not dialled, unless the link has that very address, and a line
// says so. Nor does a list hold that has expired.
func TestAListLeadsNobodyIntoAPrivateNetwork(t *testing.T) {
	atBothDoors(t, func(t *testing.T, o *published) {
		_, first := o.way()
		inside := o.front("10.0.0.2:443")
		named := o.front("router.example:443")
		named.Dial = []string{"192.168.1.1:443", "127.0.0.1:443"}
		_, second := o.way()
		var log bytes.Buffer
		n := o.w.clientOf(client.Config{
			Link: &link.Link{Keys: o.master.Client(1), Fronts: []link.Front{first}},
			Log:  slog.New(slog.NewTextHandler(&lines{w: &log}, &slog.HandlerOptions{Level: slog.LevelInfo})),
		}).ready()
		c := n.chat()
		l := o.list(nil, inside, named, second)
		l.Expires = time.Now().Add(time.Hour)
		n.wantList(t, c, o.publish(t, "all", l))
		if got := n.Status().Later; got != 1 {
			t.Errorf("%d fronts of the list may be dialled, want 1", got)
		}
		<-time.After(time.Hour)
		c.wants(t, "when the list has expired")
		if s := n.Status(); s.Later != 0 || s.List != 0 {
			t.Errorf("%d fronts of a list that has expired may be dialled", s.Later)
		}
		n.stop()
		if got := strings.Count(log.String(), "2 of its fronts have addresses of a private network"); got != 1 {
			t.Errorf("got %s, want one line about the fronts", &log)
		}
		if strings.Contains(log.String(), "192.168") || strings.Contains(log.String(), "10.0.0") {
			t.Errorf("got %s, want no addresses", &log)
		}
	})
}

// lines is a log of many goroutines.
type lines struct {
	mu sync.Mutex
	w  *bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// A list costs no message of API Gateway's, neither when it comes nor when the client has it.
func TestAListCostsNoMessage(t *testing.T) {
	var messages [2]uint64
	t.Run("both", func(t *testing.T) {
		for lists := range messages {
			t.Run(fmt.Sprintf("%d lists", lists), func(t *testing.T) {
				bubble(t, func(t *testing.T, w *world) { messages[lists] = chatAtTheGateway(t, w, lists) })
			})
		}
	})
	if messages[1] > messages[0] {
		t.Errorf("got %d messages with a list, want %d as without", messages[1], messages[0])
	}
}

func chatAtTheGateway(t *testing.T, w *world, lists int) (messages uint64) {
	o := newPublished(w, "gateway")
	_, first := o.way()
	_, second := o.way()
	if lists > 0 {
		o.publish(t, "all", o.list(nil, second))
	}
	n := o.client("", 1, first).ready()
	c := n.chat()
	for range 10 {
		c.wants(t, "chat")
		<-time.After(10 * time.Second)
	}
	if got := n.Status().Later; got != lists {
		t.Errorf("%d fronts came, want %d", got, lists)
	}
	return o.api.meter.Use().Messages
}

// An edge that drops, changes and repeats what it passes on keeps a list back for as long as it keeps
// everything back. None that the origin has not signed holds, and no older one after a newer.
func TestAHostileEdgeForgesNoList(t *testing.T) {
	atBothDoors(t, func(t *testing.T, o *published) {
		at := o.plain
		if o.api != nil {
			at = o.api.posts.addr
		}
		h := o.w.hostileAt(o.api != nil, 5, at)
		n := o.client("", 1, o.front(h.addr()))
		var last, held uint32
		for round := uint64(0); round < 6 || round < 60 && n.Status().List != last; round++ {
			if round == 1 || round == 3 {
				last = o.publish(t, "all", o.list(nil, o.front(fmt.Sprintf("10.0.0.1:%d", round)))) // where nobody is
			}
			if err := n.order(order{Do: exchange, Seed: round, Up: 100_000, Down: 100_000}); err != nil {
				t.Error(err)
			}
			h.cut()
			if got := n.Status().List; got != 0 && !slices.Contains(o.made, got) || got < held {
				t.Errorf("list %d holds after list %d", got, held)
			} else {
				held = got
			}
		}
		if got := n.Status().List; got != last {
			t.Errorf("list %d holds, want the newest, %d", got, last)
		}
	})
}
