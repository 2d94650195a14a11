//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

// Where all fronts and APIs answer.
const (
	frontsIP = "13.32.0.77" // CloudFront's, here of the loopback interface; machines reach it, too
	frontsAt = frontsIP + ":443"
)

// serveFronts serves distributions and APIs, by the name that is asked for.
func (w *world) serveFronts(ln net.Listener) error {
	s := &http.Server{Handler: http.HandlerFunc(w.front), TLSConfig: &tls.Config{GetCertificate: w.certificateFor},
		ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	return s.ServeTLS(ln, "", "")
}

func (w *world) front(rw http.ResponseWriter, r *http.Request) {
	if r.TLS.ServerName != r.Host {
		http.Error(rw, "not for this name", http.StatusMisdirectedRequest)
		return
	}
	w.mu.Lock()
	for _, g := range w.gateways {
		if g.host() == r.Host {
			w.mu.Unlock()
			g.handler.ServeHTTP(rw, r)
			return
		}
	}
	w.mu.Unlock()
	for _, p := range w.all("AWS::CloudFront::Distribution") {
		if p.Domain == r.Host {
			w.distribute(rw, r, p)
			return
		}
	}
	http.Error(rw, "no such distribution", http.StatusForbidden)
}

type distributionProperties struct {
	DistributionConfig struct {
		Origins              []distributionOrigin
		DefaultCacheBehavior behaviour
		CacheBehaviors       []behaviour
	}
}

type distributionOrigin struct {
	ID              string `json:"Id"`
	DomainName      string
	VpcOriginConfig struct {
		VpcOriginID string `json:"VpcOriginId"`
	}
	CustomOriginConfig struct{ OriginProtocolPolicy string }
}

type behaviour struct {
	PathPattern          string // without wildcards, as we use none
	TargetOriginID       string `json:"TargetOriginId"`
	AllowedMethods       []string
	FunctionAssociations []struct {
		EventType   string
		FunctionARN string
	}
}

func (w *world) takeDistribution(p part) error { return w.offer(p.Domain) }

// distribute does with a request what a distribution does.
func (w *world) distribute(rw http.ResponseWriter, r *http.Request, p part) {
	d, err := as[distributionProperties](p)
	if err != nil {
		fail(rw, err)
		return
	}
	b := d.behaviourOf(r.URL.Path)
	if !slices.Contains(b.AllowedMethods, r.Method) {
		http.Error(rw, "method not allowed", http.StatusForbidden)
		return
	}
	target := b.TargetOriginID
	for _, a := range b.FunctionAssociations {
		chosen, err := w.viewerRequest(r, a.FunctionARN)
		if err != nil {
			fail(rw, err)
			return
		}
		if chosen != "" {
			target = chosen
		}
	}
	to, address, err := w.address(d, target)
	if err != nil {
		fail(rw, err)
		return
	}
	passOn(to, address).ServeHTTP(rw, r)
}

func fail(rw http.ResponseWriter, err error) {
	fmt.Fprintln(os.Stderr, "live: CloudFront:", err)
	http.Error(rw, err.Error(), http.StatusBadGateway)
}

func (d distributionProperties) behaviourOf(path string) behaviour {
	for _, b := range d.DistributionConfig.CacheBehaviors {
		if b.PathPattern == path {
			return b
		}
	}
	return d.DistributionConfig.DefaultCacheBehavior
}

// address is an origin's URL, and where to connect to for it.
func (w *world) address(d distributionProperties, id string) (*url.URL, string, error) {
	at := slices.IndexFunc(d.DistributionConfig.Origins, func(o distributionOrigin) bool { return o.ID == id })
	if at < 0 {
		return nil, "", fmt.Errorf("origin %q: %w", id, errNotThere)
	}
	o := d.DistributionConfig.Origins[at]
	if o.VpcOriginConfig.VpcOriginID == "" {
		return &url.URL{Scheme: "https", Host: o.DomainName}, o.DomainName + ":443", nil
	}
	p, err := w.get("AWS::CloudFront::VpcOrigin", o.VpcOriginConfig.VpcOriginID)
	if err != nil {
		return nil, "", err
	}
	v, err := as[struct {
		VpcOriginEndpointConfig struct {
			Arn                  string
			HTTPPort             number
			OriginProtocolPolicy string
		}
	}](p)
	if err != nil {
		return nil, "", err
	}
	end := v.VpcOriginEndpointConfig
	ip, err := w.behind(end.Arn)
	if err != nil || end.OriginProtocolPolicy != "http-only" {
		return nil, "", errors.Join(err, fmt.Errorf("a VPC origin of %v is not known here", end))
	}
	return &url.URL{Scheme: "http", Host: o.DomainName}, fmt.Sprintf("%s:%d", ip, end.HTTPPort), nil
}

// behind is the address of what a VPC origin leads to.
func (w *world) behind(arn string) (string, error) {
	if _, id, ok := strings.Cut(arn, ":instance/"); ok {
		m, err := w.instance(id)
		if err != nil {
			return "", err
		}
		return m.address, nil
	}
	_, err := w.get("AWS::ElasticLoadBalancingV2::LoadBalancer", arn)
	return w.inFront().next(), err
}

// passOn sends a request with the origin's name, as AllViewerExceptHostHeader has it.
func passOn(to *url.URL, address string) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(to)
			p.SetXForwarded()
			p.Out.Header.Del("X-Forwarded-Host")
			p.Out.Header.Del("X-Forwarded-Proto")
		},
		Transport: &http.Transport{
			DisableCompression: true, DisableKeepAlives: true,
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, address)
			},
		},
		ErrorLog: log.New(os.Stderr, "live: CloudFront: ", 0),
	}
}
