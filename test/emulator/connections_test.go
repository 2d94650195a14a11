package emulator

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/coder/websocket"
)

func TestAPostArrivesInFramesThatMayBe(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, r *rig) {
		c := r.connect()
		want := strings.Repeat("x", message)
		done := make(chan error, 1)
		go func() { done <- r.post(r.id(), want) }()
		if got := r.receive(c); got != want {
			t.Errorf("got %d bytes, want %d", len(got), len(want))
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := r.post(r.id(), want+"x"); status(err) != 413 {
			t.Errorf("got %v, want 413", err)
		}
	})
}

func TestAPostToNobodyIsRefused(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, r *rig) {
		c := r.connect()
		id := r.id()
		if err := r.post(id, "hello"); err != nil {
			t.Fatal(err)
		}
		r.receive(c)
		c.Close(websocket.StatusNormalClosure, "")
		if err := r.post(id, "hello"); status(err) != 410 {
			t.Errorf("after the end: got %v, want 410", err)
		}
		for _, never := range []string{"AAAAAAAAAAAAAAA=", "x", "L0SM9cOFvHcCIhw=", strings.Repeat("x", 1000)} {
			if err := r.post(never, "hello"); status(err) != 403 {
				t.Errorf("to %.20s: got %v, want 403", never, err)
			}
		}
	})
}

func TestAPostBeforeTheConnectionIsOpenIsGone(t *testing.T) {
	bubble(t, Options{OpenDelay: 200 * time.Millisecond}, func(t *testing.T, r *rig) {
		early := 0
		r.gate.routes.Connect = handler(func(context.Context, []byte) ([]byte, error) {
			early = status(r.post(r.id(), "hello"))
			return []byte(ok), nil
		})
		c := r.connect()
		if early != 410 {
			t.Errorf("within $connect: got %d, want 410", early)
		}
		if err := r.post(r.id(), "hello"); status(err) != 410 {
			t.Errorf("within 200 ms: got %v, want 410", err)
		}
		time.Sleep(200 * time.Millisecond)
		if err := r.post(r.id(), "hello"); err != nil {
			t.Errorf("afterwards: got %v, want none", err)
		}
		r.receive(c)
	})
}

func TestAClientThatDoesNotReadFillsItsBufferAndIsCut(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, r *rig) {
		r.raw()
		synctest.Wait()
		id, text := r.id(), strings.Repeat("x", 100<<10)
		for i, want := range []int{0, 0, 0, 0, 0, 429} {
			if err := r.post(id, text); status(err) != want {
				t.Errorf("post %d: got %v, want status %d", i, err, want)
			}
		}
		time.Sleep(31 * time.Second)
		if err := r.post(id, text); status(err) != 410 {
			t.Errorf("got %v, want 410", err)
		}
		if got := r.gate.waiting.Load(); got != 0 {
			t.Errorf("got %d bytes still waiting, want none", got)
		}
	})
}

func TestAllClientsShareABudget(t *testing.T) {
	bubble(t, Options{BufferBytes: 1000}, func(t *testing.T, r *rig) {
		r.raw()
		synctest.Wait()
		if err := r.post(r.id(), strings.Repeat("x", 900)); err != nil {
			t.Error(err)
		}
		if err := r.post(r.id(), strings.Repeat("x", 100)); status(err) != 429 {
			t.Errorf("got %v, want 429", err)
		}
	})
}

func TestDeleteClosesAndGetDescribes(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, r *rig) {
		c := r.connect()
		id, api := r.id(), r.api(owner)
		time.Sleep(time.Minute)
		if err := r.post(id, "hello"); err != nil {
			t.Fatal(err)
		}
		r.receive(c)
		got, err := api.GetConnection(t.Context(), &apigatewaymanagementapi.GetConnectionInput{ConnectionId: &id})
		if err != nil {
			t.Fatal(err)
		}
		if age := got.LastActiveAt.Sub(*got.ConnectedAt).Round(time.Second); age != time.Minute || *got.Identity.SourceIp != "pipe" {
			t.Errorf("got %v and %s, want a minute and the source", age, *got.Identity.SourceIp)
		}
		go api.DeleteConnection(t.Context(), &apigatewaymanagementapi.DeleteConnectionInput{ConnectionId: &id})
		if got := closed(t, c); got != websocket.StatusNormalClosure {
			t.Errorf("got close code %d, want 1000", got)
		}
		if _, err := api.GetConnection(t.Context(), &apigatewaymanagementapi.GetConnectionInput{ConnectionId: &id}); status(err) != 410 {
			t.Errorf("got %v, want 410", err)
		}
	})
}

func TestCallsFailAtWillAndAreThrottled(t *testing.T) {
	fail := 500
	bubble(t, Options{RequestRate: 1, RequestBurst: 2, Faults: Faults{FailPost: func() int { return fail }}}, func(t *testing.T, r *rig) {
		c := r.connect()
		if err := r.post(r.id(), "hello"); status(err) != 500 {
			t.Errorf("got %v, want 500", err)
		}
		fail = 0
		for _, want := range []int{0, 429} {
			if err := r.post(r.id(), "hello"); status(err) != want {
				t.Errorf("got %v, want status %d", err, want)
			}
		}
		r.receive(c)
	})
}

func TestOnlyTheOwnersCallsAreTaken(t *testing.T) {
	other := func(change func(*aws.Credentials)) aws.Credentials {
		c := owner
		change(&c)
		return c
	}
	for name, as := range map[string]aws.Credentials{
		"another key":     other(func(c *aws.Credentials) { c.AccessKeyID = "AKIDOTHER" }),
		"another secret":  other(func(c *aws.Credentials) { c.SecretAccessKey = "guess" }),
		"another session": other(func(c *aws.Credentials) { c.SessionToken = "guess" }),
		"no session":      other(func(c *aws.Credentials) { c.SessionToken = "" }),
	} {
		named(t, name, func(t *testing.T, r *rig) {
			id := "AAAAAAAAAAAAAAA="
			in := apigatewaymanagementapi.PostToConnectionInput{ConnectionId: &id, Data: []byte("hello")}
			if _, err := r.api(as).PostToConnection(t.Context(), &in); status(err) != 403 || strings.Contains(err.Error(), ": Forbidden") {
				t.Errorf("got %v, want 403 for the signature", err)
			}
		})
	}
}

// signed is a call as the owner makes it, after change has had its way.
func signed(t *testing.T, at time.Time, service, region string, change func(*http.Request)) *http.Request {
	t.Helper()
	const sum = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" // of "hello"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://gateway.example/v1/@connections/AAAAAAAAAAAAAAA%3D", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if err := v4.NewSigner().SignHTTP(t.Context(), owner, req, sum, service, region, at); err != nil {
		t.Fatal(err)
	}
	change(req)
	return req
}

func TestASignatureCoversTheCall(t *testing.T) {
	edit := func(name, old, new string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, strings.ReplaceAll(r.Header.Get(name), old, new)) }
	}
	nothing := func(*http.Request) {}
	for _, c := range []struct {
		name            string
		skew            time.Duration
		service, region string
		change          func(*http.Request)
		want            string
	}{
		{"all well", 0, "execute-api", "us-east-1", nothing, "Forbidden"}, // the id never was
		{"a clock slightly ahead", 4 * time.Minute, "execute-api", "us-east-1", nothing, "Forbidden"},
		{"an old one", -6 * time.Minute, "execute-api", "us-east-1", nothing, errClock.message},
		{"a future one", 6 * time.Minute, "execute-api", "us-east-1", nothing, errClock.message},
		{"another service", 0, "s3", "us-east-1", nothing, errIncomplete.message},
		{"another region", 0, "execute-api", "eu-west-1", nothing, errIncomplete.message},
		{"another method", 0, "execute-api", "us-east-1", func(r *http.Request) { r.Method = "DELETE" }, errBadSignature.message},
		{"another path", 0, "execute-api", "us-east-1", func(r *http.Request) { r.URL.RawPath += "A"; r.URL.Path += "A" }, errBadSignature.message},
		{"another query", 0, "execute-api", "us-east-1", func(r *http.Request) { r.URL.RawQuery = "a=b" }, errBadSignature.message},
		{"another host", 0, "execute-api", "us-east-1", func(r *http.Request) { r.Host = "elsewhere.example" }, errBadSignature.message},
		{"another body", 0, "execute-api", "us-east-1", func(r *http.Request) {
			r.Body, r.ContentLength = http.NoBody, 0
		}, errBadSignature.message},
		{"another time", 0, "execute-api", "us-east-1", func(r *http.Request) {
			r.Header.Set("X-Amz-Date", time.Now().Add(time.Second).UTC().Format("20060102T150405Z"))
		}, errBadSignature.message},
		{"no time", 0, "execute-api", "us-east-1", func(r *http.Request) { r.Header.Del("X-Amz-Date") }, errIncomplete.message},
		{"the host unsigned", 0, "execute-api", "us-east-1", edit("Authorization", "host;", ""), errBadSignature.message},
		{"no signature", 0, "execute-api", "us-east-1", edit("Authorization", "Signature=", "Sig="), errIncomplete.message},
		{"no parts", 0, "execute-api", "us-east-1", edit("Authorization", ",", ""), errIncomplete.message},
		{"another algorithm", 0, "execute-api", "us-east-1", edit("Authorization", "AWS4-", "AWS3-"), errIncomplete.message},
		{"nothing", 0, "execute-api", "us-east-1", func(r *http.Request) { r.Header.Del("Authorization") }, errNoSignature.message},
	} {
		named(t, c.name, func(t *testing.T, r *rig) {
			res, err := r.http.Do(signed(t, time.Now().Add(c.skew), c.service, c.region, c.change))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			var got struct{ Message string }
			json.NewDecoder(res.Body).Decode(&got)
			if res.StatusCode != 403 || got.Message != c.want {
				t.Errorf("got %d %q, want 403 %q", res.StatusCode, got.Message, c.want)
			}
		})
	}
}

func TestWithoutCredentialsNobodyMayCall(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, r *rig) {
		r.gate.opt.Credentials = aws.Credentials{}
		id := "AAAAAAAAAAAAAAA="
		in := apigatewaymanagementapi.PostToConnectionInput{ConnectionId: &id, Data: []byte("hello")}
		if _, err := r.api(owner).PostToConnection(t.Context(), &in); status(err) != 403 || !strings.Contains(err.Error(), "token") {
			t.Errorf("got %v, want 403 for the signature", err)
		}
	})
}

func TestOtherMethodsAreNotAllowed(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, r *rig) {
		r.connect()
		path := strings.ReplaceAll(r.id(), "=", "%3D")
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://gateway.example/v1/@connections/"+path, nil)
		const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
		if err := v4.NewSigner().SignHTTP(t.Context(), owner, req, empty, "execute-api", "us-east-1", time.Now()); err != nil {
			t.Fatal(err)
		}
		res, err := r.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != 405 {
			t.Errorf("got %d, want 405", res.StatusCode)
		}
	})
}
