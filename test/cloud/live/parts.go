//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// part is one resource of a stack, as the stand-in tells of it, with its
// secrets resolved.
type part struct {
	Kind       string          `json:"kind"`
	ID         string          `json:"id"`
	ARN        string          `json:"arn"`
	Domain     string          `json:"domain"`  // a distribution's name, or a load balancer's
	Address    string          `json:"address"` // an instance's own
	Code       string          `json:"code"`    // where to fetch what was uploaded for it
	Properties json.RawMessage `json:"properties"`
	Gone       bool            `json:"gone"`
}

// as is the properties of p in the form of a kind that we know.
func as[T any](p part) (t T, err error) {
	if err = json.Unmarshal(p.Properties, &t); err != nil {
		err = fmt.Errorf("%s %s: %w", p.Kind, p.ID, err)
	}
	return t, err
}

// number is also taken as a text, which CloudFormation does, too.
type number int

func (n *number) UnmarshalJSON(b []byte) error {
	i, err := strconv.Atoi(strings.Trim(string(b), `"`))
	*n = number(i)
	return err
}

// world is all that runs.
type world struct {
	*names
	folder string

	mu        sync.Mutex // guards the following
	balancer  *balancer
	group     *group
	machines  map[string]*machine // by id
	breaks    time.Time           // until when connections may break: see explained
	parts     map[string]part
	functions map[string]*function // by ARN
	gateways  map[string]*gateway  // by the API's id
}

// controlAt is where the stand-in and .ci/cloud ask, systemAt a machine's scripts.
const (
	controlAt = "127.0.0.1:700"
	systemAt  = gatewayIP + ":700"
)

func serve(ctx context.Context, folder string) error {
	n, err := newNames(folder)
	if err != nil {
		return err
	}
	w := &world{names: n, folder: folder, machines: map[string]*machine{}, parts: map[string]part{},
		functions: map[string]*function{}, gateways: map[string]*gateway{}}
	if err := w.startWhatsApp(ctx); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /part", w.told)
	mux.HandleFunc("POST /tend", w.each(tend))
	mux.HandleFunc("GET /outcomes", w.each(outcomes))
	mux.HandleFunc("POST /autoscaling", w.scaling)
	mux.HandleFunc("GET /fleet", w.each(w.describe))
	mux.HandleFunc("POST /cut", w.cut)
	mux.HandleFunc("POST /kill", w.kill)
	mux.HandleFunc("GET /explained", w.explained)
	system := http.NewServeMux()
	system.HandleFunc("POST /systemctl", w.asked((*machine).systemctl))
	system.HandleFunc("POST /journalctl", w.asked((*machine).journalctl))
	failed := make(chan error, 4)
	listen := func(address string, serve func(net.Listener) error) {
		ln, err := net.Listen("tcp", address)
		if err == nil {
			err = serve(ln)
		}
		failed <- err
	}
	go listen(frontsAt, func(ln net.Listener) error { return w.serveFronts(ln) })
	go listen(metadataAt, func(ln net.Listener) error { return http.Serve(ln, w.metadata()) })
	go listen(systemAt, func(ln net.Listener) error { return http.Serve(ln, system) })
	go listen(controlAt, func(ln net.Listener) error { return http.Serve(ln, mux) })
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

// told takes news of a part, and answers when it is in effect.
func (w *world) told(rw http.ResponseWriter, r *http.Request) {
	var p part
	err := json.NewDecoder(r.Body).Decode(&p)
	if err == nil {
		err = w.take(r.Context(), p)
	}
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
	}
}

// take does not hold up the rest of the world while a machine is at work.
func (w *world) take(ctx context.Context, p part) error {
	if err := w.keep(ctx, p); err != nil {
		return err
	}
	switch {
	case p.Kind == "AWS::SSM::Association" && !p.Gone:
		return w.takeAssociation(ctx, p)
	case p.Kind == "AWS::EC2::Instance":
		return w.takeInstance(ctx, p)
	case p.Kind == "AWS::AutoScaling::AutoScalingGroup":
		return w.takeGroup(ctx, p)
	case p.Kind == "AWS::ElasticLoadBalancingV2::Listener":
		return w.takeListener(p)
	}
	return nil
}

func (w *world) keep(ctx context.Context, p part) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.Gone {
		delete(w.parts, p.ID)
		return nil
	}
	w.parts[p.ID] = p
	switch p.Kind {
	case "AWS::Lambda::Function":
		return w.takeFunction(ctx, p)
	case "AWS::ApiGatewayV2::Stage":
		return w.takeStage(p)
	case "AWS::CloudFront::Distribution":
		return w.takeDistribution(p)
	}
	return nil
}

var errNotThere = errors.New("is not there")

// get is the part of that id and kind.
func (w *world) get(kind, id string) (part, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.part(kind, id)
}

// part is get with mu held.
func (w *world) part(kind, id string) (part, error) {
	p, ok := w.parts[id]
	if !ok || p.Kind != kind {
		return p, fmt.Errorf("%s %q: %w", kind, id, errNotThere)
	}
	return p, nil
}

// all lists the parts of a kind.
func (w *world) all(kind string) (found []part) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.parts {
		if p.Kind == kind {
			found = append(found, p)
		}
	}
	return found
}

// find is the first part of a kind whose properties are wanted.
func find[T any](w *world, kind string, wanted func(T) bool) (found T, err error) {
	at := slices.IndexFunc(w.all(kind), func(p part) bool {
		t, bad := as[T](p)
		if bad == nil && wanted(t) {
			found = t
			return true
		}
		return false
	})
	if at < 0 {
		err = fmt.Errorf("%s: %w", kind, errNotThere)
	}
	return found, err
}
