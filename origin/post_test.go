package origin

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/prometheus/client_golang/prometheus"

	"culvert/internal/seal"
	"culvert/internal/share"
	"culvert/internal/tunnel"
	"culvert/internal/wire"
)

// awsAnswers is API Gateway, which answers what it is told to, and the last of
// it again and again. A status of 0 is a connection that breaks.
type awsAnswers struct {
	mu       sync.Mutex
	statuses []int
	texts    []string
	methods  []string
	most     int // requests at once
	now      int
	takes    time.Duration
}

func (a *awsAnswers) RoundTrip(r *http.Request) (*http.Response, error) {
	var text []byte
	if r.Body != nil {
		text, _ = io.ReadAll(r.Body)
	}
	a.mu.Lock()
	a.now++
	a.most = max(a.most, a.now)
	a.mu.Unlock()
	time.Sleep(a.takes)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now--
	a.methods = append(a.methods, r.Method)
	a.texts = append(a.texts, string(text))
	status := a.statuses[min(len(a.texts), len(a.statuses))-1]
	if status == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{}, Request: r,
		Body: io.NopCloser(strings.NewReader(`{"message":"the secret id is conn-1="}`)),
	}, r.Context().Err()
}

func (a *awsAnswers) gateway() Gateway {
	at, _ := url.Parse("https://a1.execute-api.eu-west-1.amazonaws.com/v1")
	return Gateway{
		URL: at, Region: "eu-west-1", Client: &http.Client{Transport: a},
		Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""),
	}
}

// posting is a poster with what it counts and logs.
type posting struct {
	*poster
	counters *prometheus.Registry
	log      bytes.Buffer
}

func newPosting(a *awsAnswers) *posting {
	p := &posting{counters: prometheus.NewRegistry()}
	m := newMetrics(p.counters, tunnel.NewTable(tunnel.Events{}, tunnel.NewWindows(0), false), func() int { return 0 })
	p.poster = newPoster(a.gateway(), m, slog.New(slog.NewTextHandler(&p.log, nil)), share.NewBound[uint32](mostWaiting*wire.MaxText).WithoutReserve())
	return p
}

// mostWaiting texts may wait.
const mostWaiting = 3

// count is what a counter stands at where a label has the value.
func count(t *testing.T, from prometheus.Gatherer, name, value string) (sum float64) {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == name && l.GetValue() == value {
					sum += m.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}

func newTestConnection(id string) *connection {
	return &connection{id: id, pace: newPace(time.Now())}
}

func TestAPostIsRepeatedAsLongAsItMayBeTaken(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		statuses    []int
		age         time.Duration // of the connection
		result      string
		posts       int           // at least
		after, till time.Duration // when it ends
		logged      string
	}{
		"taken":                  {[]int{200}, 0, "taken", 1, 0, 0, ""},
		"gone":                   {[]int{410}, 2 * time.Second, "gone", 1, 0, 0, ""},
		"not open yet":           {[]int{410, 410, 200}, 0, "taken", 3, 50 * time.Millisecond, 200 * time.Millisecond, ""},
		"gone from the start":    {[]int{410}, 0, "gone", 4, time.Second, time.Second, ""},
		"throttled once":         {[]int{429, 200}, time.Hour, "taken", 2, 25 * time.Millisecond, 50 * time.Millisecond, ""},
		"throttled for good":     {[]int{429}, time.Hour, "throttled", 30, time.Minute, time.Minute, ""},
		"throttled, then gone":   {[]int{429, 410}, time.Hour, "gone", 2, 25 * time.Millisecond, 50 * time.Millisecond, ""},
		"too large":              {[]int{413}, 0, "too_large", 1, 0, 0, "mistake in Culvert"},
		"denied":                 {[]int{403}, 0, "denied", 1, 0, 0, "execute-api:ManageConnections"},
		"another stage":          {[]int{404}, 0, "denied", 1, 0, 0, "CULVERT_GATEWAY"},
		"a fault":                {[]int{500, 503, 0, 200}, time.Hour, "taken", 4, 175 * time.Millisecond, 350 * time.Millisecond, ""},
		"a fault that stays":     {[]int{502}, time.Hour, "failed", 6, 10 * time.Second, 10 * time.Second, "reaches the host"},
		"a network that is gone": {[]int{0}, time.Hour, "failed", 6, 10 * time.Second, 10 * time.Second, "reaches the host"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := &awsAnswers{statuses: c.statuses}
				p, conn := newPosting(a), newTestConnection("conn-1=")
				time.Sleep(c.age)
				begin := time.Now()
				err := p.to(conn)(t.Context(), []byte("hello"))
				if took := time.Since(begin); took < c.after || took > c.till {
					t.Errorf("got an end after %v, want %v to %v", took, c.after, c.till)
				}
				if (err == nil) != (c.result == "taken") || count(t, p.counters, "culvert_posts_total", c.result) != 1 {
					t.Errorf("got %v, want the result %q", err, c.result)
				}
				if len(a.texts) < c.posts || slices.ContainsFunc(a.texts, func(s string) bool { return s != "hello" }) {
					t.Errorf("got posts of %q, want at least %d, each whole", a.texts, c.posts)
				}
				if log := p.log.String(); !strings.Contains(log, c.logged) || (log == "") != (c.logged == "") || strings.Contains(log, "conn-1") {
					t.Errorf("got the log %q, want %q and no id", log, c.logged)
				}
			})
		})
	}
}

// While API Gateway throttles, one post of a connection is repeated at a time;
// all are taken in the end.
func TestFewPostsAreUnderWayWhileTheyAreThrottled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		statuses := slices.Repeat([]int{429}, 12)
		a := &awsAnswers{statuses: append(statuses, 200), takes: 10 * time.Millisecond}
		p, conn := newPosting(a), newTestConnection("c")
		var all sync.WaitGroup
		for i := range inFlight {
			all.Go(func() {
				if err := p.to(conn)(t.Context(), []byte(strconv.Itoa(i))); err != nil {
					t.Errorf("post %d: %v", i, err)
				}
			})
		}
		time.Sleep(15 * time.Millisecond) // each was tried once
		a.mu.Lock()
		if a.most != inFlight {
			t.Errorf("got %d posts at once, want %d", a.most, inFlight)
		}
		a.most = 0
		a.mu.Unlock()
		all.Wait()
		if a.most != 1 {
			t.Errorf("got %d repeats at once, want 1", a.most)
		}
	})
}

// A post that is throttled may wait for more room than what follows it needs.
func TestAPostIsNotOvertakenWhileItIsThrottled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &awsAnswers{statuses: []int{429, 429, 429, 200}}
		p, conn := newPosting(a), newTestConnection("c")
		var all sync.WaitGroup
		for _, text := range []string{"large", "small"} {
			all.Go(func() {
				if err := p.to(conn)(t.Context(), []byte(text)); err != nil {
					t.Errorf("%s: %v", text, err)
				}
			})
			synctest.Wait()
		}
		all.Wait()
		if want := []string{"large", "large", "large", "large", "small"}; !slices.Equal(a.texts, want) {
			t.Errorf("got posts of %v, want %v", a.texts, want)
		}
	})
}

func TestAPostEndsWithItsCarrier(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, conn := newPosting(&awsAnswers{statuses: []int{429}}), newTestConnection("c")
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begin := time.Now()
		if err := p.to(conn)(ctx, []byte("x")); err == nil || time.Since(begin) != 3*time.Second {
			t.Errorf("got %v after %v, want an error at once", err, time.Since(begin))
		}
		if n := count(t, p.counters, "culvert_posts_total", "abandoned"); n != 1 {
			t.Errorf("got %v abandoned, want 1", n)
		}
	})
}

// A client that takes nothing costs its carrier, and so does one too many.
func TestPostsThatWaitAreBoundInAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &awsAnswers{statuses: []int{200}, takes: time.Second}
		p, text := newPosting(a), make([]byte, wire.MaxText)
		var all sync.WaitGroup
		var failed atomic.Int64
		const more = 10
		texts := p.waiting.Open(1, nil)
		connection := func() *connection {
			c := newTestConnection("c")
			c.texts = texts
			return c
		}
		for range mostWaiting + more {
			all.Go(func() {
				if p.to(connection())(t.Context(), text) != nil {
					failed.Add(1)
				}
			})
		}
		all.Wait()
		if failed.Load() != more {
			t.Errorf("got %d refused, want %d", failed.Load(), more)
		}
		if err := p.to(connection())(t.Context(), text); err != nil {
			t.Errorf("got %v, want place again", err)
		}
	})
}

func TestTheLogSaysTheSameOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, conn := newPosting(&awsAnswers{statuses: []int{403}}), newTestConnection("c")
		for range 150 {
			p.to(conn)(t.Context(), []byte("x"))
			time.Sleep(time.Second)
		}
		if n := strings.Count(p.log.String(), "\n"); n != 3 {
			t.Errorf("got %d lines in 150 s, want 3", n)
		}
	})
}

func TestABodyIsNotReadOnceItWasTakenBack(t *testing.T) {
	t.Parallel()
	var kept io.Reader
	keeps := roundTrip(func(r *http.Request) (*http.Response, error) {
		kept = r.Body
		return nil, io.ErrUnexpectedEOF
	})
	r, _ := http.NewRequest(http.MethodPost, "http://a/", strings.NewReader("secret"))
	lender{keeps}.RoundTrip(r)
	if b, err := io.ReadAll(kept); err == nil || len(b) > 0 {
		t.Errorf("got %q and %v, want an error", b, err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// newTestOrigin is an origin behind an API Gateway that takes everything.
func newTestOrigin(t testing.TB, master seal.Master) *Origin {
	o, _ := newPostingOrigin(t, master)
	return o
}

// newPostingOrigin also returns what is posted, the first messages of each connection.
func newPostingOrigin(t testing.TB, master seal.Master) (*Origin, *posts) {
	cfg, all := (&awsAnswers{}).gateway(), &posts{of: map[string]chan []byte{}}
	cfg.Client = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPost {
			text, _ := io.ReadAll(r.Body)
			select {
			case all.to(path.Base(r.URL.Path)) <- text:
			default:
			}
		}
		return accepting(r)
	})}
	o, err := New(Config{
		Master: master, Gateway: cfg, Advertise: netip.MustParseAddrPort("10.0.1.7:8080"),
		Dial: func(context.Context, wire.Service) (net.Conn, error) { return nil, io.EOF },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return o, all
}

// posts are what was posted, by connection.
type posts struct {
	mu sync.Mutex
	of map[string]chan []byte
}

func (p *posts) to(conn string) chan []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of[conn] == nil {
		p.of[conn] = make(chan []byte, 16)
	}
	return p.of[conn]
}

// silent is an API Gateway that answers nothing.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// An origin that stops does not wait for an API Gateway that is silent, however many
// connections are to be closed.
func TestHangUpsAreBoundedInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, to := newPosting(new(awsAnswers)), new(awsAnswers).gateway()
		to.Client = &http.Client{Transport: silent{}}
		p.api = newManagement(to)
		begin := time.Now()
		var all sync.WaitGroup
		for id := range 10 * maxHanging {
			all.Go(func() { p.hangUp(strconv.Itoa(id)) })
		}
		if all.Wait(); time.Since(begin) > hangFor {
			t.Errorf("got %v for all, want no more than %v", time.Since(begin), hangFor)
		}
	})
}
