package origin

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"

	"culvert/internal/dial"
	"culvert/internal/share"
)

// poster sends messages to connections of API Gateway. What is refused for a
// while it sends again, which may make a message arrive twice.
type poster struct {
	api     *management
	metrics *metrics
	log     *slog.Logger
	warned  [answers]atomic.Int64 // when a line was last logged, Unix ns
	hanging chan struct{}         // holds one for each connection being closed
	waiting *share.Bound[uint32]  // texts, in bytes
}

// pace is what the posts of one connection have in common.
type pace struct {
	began time.Time
	alone chan struct{} // held by the one post that is being repeated; others wait in order
}

func newPace(now time.Time) *pace { return &pace{began: now, alone: make(chan struct{}, 1)} }

const (
	// openWithin is how long after its first message a connection may be unknown
	// to @connections: 200 ms were seen.
	openWithin = time.Second
	// throttledFor and failingFor are how long a post is repeated: a client on a
	// slow link, which takes half a minute for a message at 4 kB/s, fills API
	// Gateway's buffer, and a fault of AWS passes soon.
	throttledFor = time.Minute
	failingFor   = 10 * time.Second
	// The time between two posts of a message doubles from the one to the other.
	firstRepeat = 50 * time.Millisecond
	lastRepeat  = 2 * time.Second
	// warnEvery bounds how often the log says the same.
	warnEvery = time.Minute
)

// errPost ends a carrier. The log and the metrics have the reason.
var errPost = errors.New("API Gateway does not take it")

func newPoster(cfg Gateway, m *metrics, log *slog.Logger, waiting *share.Bound[uint32]) *poster {
	return &poster{api: newManagement(cfg), metrics: m, log: log, hanging: make(chan struct{}, maxHanging), waiting: waiting}
}

// to posts to c and returns when API Gateway has the message, or never will.
func (p *poster) to(c *connection) func(context.Context, []byte) error {
	return func(ctx context.Context, text []byte) error {
		p.metrics.posting.Inc()
		defer p.metrics.posting.Dec()
		size := int64(cap(text)) // of a buffer for the largest, as a rule
		left, payer := c.texts.Add(size)
		defer c.texts.Give(size)
		if payer != nil && payer != c.texts {
			payer.Of.(*connection).pay(c)
		}
		if left < 0 {
			return p.conclude(ctx, c, overloaded)
		}
		a := untried
		if !c.pace.isHeld() {
			a = p.api.post(ctx, c.id, text)
		}
		if a == untried || a.mayPass() {
			a = p.inTurn(ctx, c, text, a)
		}
		return p.conclude(ctx, c, a)
	}
}

// pay ends a connection whose texts keep those of another waiting.
func (c *connection) pay(another *connection) {
	select {
	case <-c.conn.Done(): // it has paid, and its texts have yet to go
	default:
		c.conn.Close()
		c.texts.Pay(another.texts)
	}
}

// isHeld reports that a post is being repeated. What comes after it waits for it: a small
// message would take the room that a large one waits for.
func (p *pace) isHeld() bool { return len(p.alone) > 0 }

// inTurn posts text, of which the last answer was a, until it is taken, refused for good,
// or time is over. One post of a connection does so at a time, so that few are under way
// while API Gateway wants fewer.
func (p *poster) inTurn(ctx context.Context, c *connection, text []byte, a answer) answer {
	select {
	case c.pace.alone <- struct{}{}:
		defer func() { <-c.pace.alone }()
	case <-ctx.Done():
		return a
	}
	since := time.Now()
	if a == untried {
		a = p.api.post(ctx, c.id, text)
	}
	wait := dial.Backoff{Next: firstRepeat, Limit: lastRepeat}
	for a.mayPass() {
		left := time.Until(c.pace.until(a, since))
		if left <= 0 || !dial.Sleep(ctx, min(wait.Pause(), left)) {
			break
		}
		p.metrics.repeats.WithLabelValues(label(a.String())).Inc()
		a = p.api.post(ctx, c.id, text)
	}
	return a
}

// until is how long a post that was answered a is repeated.
func (p *pace) until(a answer, since time.Time) time.Time {
	switch a {
	case gone:
		return p.began.Add(openWithin)
	case throttled:
		return since.Add(throttledFor)
	}
	return since.Add(failingFor)
}

func (p *poster) conclude(ctx context.Context, c *connection, a answer) error {
	if a != taken && ctx.Err() != nil { // the carrier has ended
		a = abandoned
	}
	p.metrics.posts.WithLabelValues(label(a.String())).Inc()
	if a == taken {
		return nil
	}
	p.warn(a)
	return errPost
}

// warn logs what an operator can do something about, now and then.
func (p *poster) warn(a answer) {
	advice, now, last := a.advice(), time.Now().UnixNano(), p.warned[a].Load()
	if advice == "" || now-last < int64(warnEvery) || !p.warned[a].CompareAndSwap(last, now) {
		return
	}
	p.log.Error("cannot post to API Gateway", "answer", a.String(), "try", advice)
}

const (
	// maxHanging bounds connections being closed at once, and hangFor how long
	// one may take: one that stays open is found out by its client's next message.
	maxHanging = 64
	hangFor    = 3 * time.Second
)

// hangUp has API Gateway close a connection, if that is quick.
func (p *poster) hangUp(id string) {
	ctx, cancel := context.WithTimeout(context.Background(), hangFor)
	defer cancel()
	select {
	case p.hanging <- struct{}{}:
		defer func() { <-p.hanging }()
	case <-ctx.Done():
		return
	}
	wait := dial.Backoff{Next: firstRepeat, Limit: lastRepeat}
	for {
		_, err := p.api.client.DeleteConnection(ctx, &apigatewaymanagementapi.DeleteConnectionInput{ConnectionId: &id})
		a := answerOf(err)
		if a != throttled && a != failed || !dial.Sleep(ctx, wait.Pause()) {
			return
		}
	}
}

// management is API Gateway's @connections. It tries everything once.
type management struct {
	client *apigatewaymanagementapi.Client
	http   *http.Client
}

const (
	// maxPosts bounds the requests to API Gateway under way. At 25 ms each they
	// make its 10,000 a second.
	maxPosts = 256
	// postFor bounds one; API Gateway answers within a second.
	postFor = 10 * time.Second
)

func newManagement(cfg Gateway) *management {
	client := cfg.Client
	if client == nil || client.Transport == nil {
		client = newPostClient()
	}
	api := apigatewaymanagementapi.New(apigatewaymanagementapi.Options{
		BaseEndpoint: aws.String(strings.TrimSuffix(cfg.URL.String(), "/")),
		Region:       cfg.Region,
		Credentials:  cfg.Credentials,
		HTTPClient:   &http.Client{Transport: lender{client.Transport}, CheckRedirect: client.CheckRedirect},
		Retryer:      aws.NopRetryer{},
	})
	return &management{api, client}
}

// newPostClient keeps many connections to one host.
func newPostClient() *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true) // posts do not wait for one another
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
			TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(16)},
			TLSHandshakeTimeout: 5 * time.Second,
			MaxConnsPerHost:     maxPosts,
			MaxIdleConnsPerHost: maxPosts,
			IdleConnTimeout:     50 * time.Second,
			WriteBufferSize:     32 << 10,
			Protocols:           protocols,
		},
	}
}

// post sends text to the connection id.
func (m *management) post(ctx context.Context, id string, text []byte) answer {
	ctx, cancel := context.WithTimeout(ctx, postFor)
	defer cancel()
	_, err := m.client.PostToConnection(ctx, &apigatewaymanagementapi.PostToConnectionInput{ConnectionId: &id, Data: text})
	return answerOf(err)
}

// answer is what came of a post.
type answer int

const (
	taken      answer = iota
	gone              // the connection has ended, or is not open yet
	throttled         // there are too many posts, or the client takes none
	tooLarge          // a mistake of ours
	denied            // the origin may not post there
	unsigned          // it has no credentials
	failed            // AWS or the way there has a fault
	abandoned         // the carrier ended meanwhile
	overloaded        // too much waits already
	answers
)

// untried is the answer to what was not posted yet.
const untried = answers

// String is the answer in a log, and in metrics as its label.
func (a answer) String() string {
	return [answers]string{"taken", "gone", "throttled", "too large", "denied", "unsigned", "failed", "abandoned", "overloaded"}[a]
}

// mayPass reports whether the same post may be taken later.
func (a answer) mayPass() bool { return a == gone || a == throttled || a == failed || a == unsigned }

// advice is empty where an operator can do nothing.
func (a answer) advice() string {
	return map[answer]string{
		tooLarge:   "report this: it is a mistake in Culvert",
		denied:     "allow execute-api:ManageConnections on the API for this origin's role, and check the API and the stage in CULVERT_GATEWAY and this machine's clock",
		unsigned:   "give this machine a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
		failed:     "see whether this machine reaches the host in CULVERT_GATEWAY on port 443",
		overloaded: "add an origin: more waits for API Gateway than memory should hold",
	}[a]
}

// answerOf reads the status alone: a proxy's answer has no error code.
func answerOf(err error) answer {
	var status *awshttp.ResponseError
	var signing *v4.SigningError
	switch {
	case err == nil:
		return taken
	case errors.As(err, &signing):
		return unsigned
	case errors.As(err, &status):
		return cmp.Or(refusals[status.HTTPStatusCode()], failed)
	}
	return failed
}

// refusals are what API Gateway's statuses mean; all others are faults.
var refusals = map[int]answer{
	http.StatusGone:                  gone,
	http.StatusTooManyRequests:       throttled,
	http.StatusRequestEntityTooLarge: tooLarge,
	http.StatusForbidden:             denied,
	http.StatusNotFound:              denied,
	http.StatusUnauthorized:          denied,
}

// lender takes requests' bodies back when an answer is there: net/http may go on
// reading a body after that, and its bytes are in a buffer that others use then.
type lender struct{ http.RoundTripper }

// RoundTrip is of http.RoundTripper.
func (l lender) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return l.RoundTripper.RoundTrip(r)
	}
	body := &lent{ReadCloser: r.Body}
	out := r.Clone(r.Context())
	out.Body, out.GetBody = body, nil
	defer body.Close()
	return l.RoundTripper.RoundTrip(out)
}

// lent is a body that nobody reads any more once Close has returned.
type lent struct {
	mu sync.Mutex // held while it is read
	io.ReadCloser
	closed bool
}

func (b *lent) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.ReadCloser.Read(p)
}

func (b *lent) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return b.ReadCloser.Close()
}
