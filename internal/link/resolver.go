package link

import (
	"errors"
	"fmt"
	"strings"
)

// maxResolvers bounds the resolvers of one link.
const maxResolvers = 8

const resolverScheme = "https://"

// Resolver is how a resolver of names is reached that answers over HTTPS (RFC 8484): as
// a front is. Its own name, if it has one to dial, is looked up by the system.
type Resolver struct{ Front }

// URL is where it is asked.
func (r Resolver) URL() string { return resolverScheme + r.Host + r.Path }

// String is the one spelling of r that ParseResolver reads back: https://HOST:PORT/PATH,
// then the options of Front.String.
func (r Resolver) String() string { return r.URL() + r.options() }

var errResolver = errors.New("write it as https://HOST/dns-query; none but those over HTTPS are asked")

// ParseResolver reads "https://HOST:PORT/PATH" and the options that ParseFront reads, but
// for door, visit and ech. The result is in its one form; errors are for whoever wrote it, and quote
// nothing of it.
func ParseResolver(s string) (Resolver, error) {
	rest, ok := strings.CutPrefix(s, resolverScheme)
	if !ok {
		return Resolver{}, fmt.Errorf("resolver: %w", errResolver)
	}
	f, err := parseRest(rest)
	r := Resolver{f}
	if err == nil {
		r, err = r.clean()
	}
	if err != nil {
		return Resolver{}, fmt.Errorf("resolver: %w", err)
	}
	return r, nil
}

// clean is the one form of r, or what is wrong with it.
func (r Resolver) clean() (Resolver, error) {
	f, err := r.Front.clean()
	if err == nil && f.Gateway {
		err = errors.New("it leads to no door")
	}
	if err == nil && f.NoVisit {
		err = errors.New("it is not visited: leave visit out")
	}
	if err == nil && len(f.ECH) > 0 {
		err = errors.New("its name is not encrypted: leave ech out")
	}
	return Resolver{f}, err
}

func cleanResolvers(all []Resolver) ([]Resolver, error) {
	if len(all) > maxResolvers {
		return nil, fmt.Errorf("a link has at most %d resolvers", maxResolvers)
	}
	clean, seen := make([]Resolver, len(all)), make(map[string]bool)
	for i, r := range all {
		c, err := r.clean()
		if err != nil {
			return nil, fmt.Errorf("resolver %d: %w", i+1, err)
		}
		if seen[c.String()] {
			return nil, fmt.Errorf("resolver %d is there twice: leave one out", i+1)
		}
		clean[i], seen[c.String()] = c, true
	}
	return clean, nil
}
