package origin

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
)

// management is API Gateway's @connections. It tries everything once.
type management struct {
	client *apigatewaymanagementapi.Client
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
	return &management{apigatewaymanagementapi.New(apigatewaymanagementapi.Options{
		BaseEndpoint: aws.String(strings.TrimSuffix(cfg.URL.String(), "/")),
		Region:       cfg.Region,
		Credentials:  cfg.Credentials,
		HTTPClient:   &http.Client{Transport: lender{client.Transport}, CheckRedirect: client.CheckRedirect},
		Retryer:      aws.NopRetryer{},
	})}
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

// delete closes the connection id.
func (m *management) delete(ctx context.Context, id string) answer {
	_, err := m.client.DeleteConnection(ctx, &apigatewaymanagementapi.DeleteConnectionInput{ConnectionId: &id})
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

// String is the answer's label in metrics.
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
	case !errors.As(err, &status):
		return failed
	}
	switch status.HTTPStatusCode() {
	case http.StatusGone:
		return gone
	case http.StatusTooManyRequests:
		return throttled
	case http.StatusRequestEntityTooLarge:
		return tooLarge
	case http.StatusForbidden, http.StatusNotFound, http.StatusUnauthorized:
		return denied
	}
	return failed
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
