package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// revoke makes a user's links void.
func revoke(ctx context.Context, c *cloud) error {
	s, err := c.standing(ctx)
	if err != nil {
		return err
	}
	name := s.output("RevokedParameter")
	if name == "" {
		name = "/culvert/" + c.stack + "/revoked"
	}
	all, err := c.revoked(ctx, name)
	if err != nil {
		return err
	}
	next := addRevoked(all, c.user)
	if len(next) > maxRevoked {
		return advise("Rotate instead (make rotate, hand out new links, make rotate): links of old secrets end, and the list may begin anew.",
			"the list of revoked users is full")
	}
	err = c.aws(ctx, nil, "ssm", "put-parameter", "--name", name, "--type", "String", "--overwrite", "--value", next)
	if err != nil {
		return err
	}
	c.good("User %d is revoked; the origin hears of it within some minutes. Give the person a link with a number that was never used: make link USER=n", c.user)
	return nil
}

// maxRevoked is Parameter Store's limit for a standard parameter, in bytes.
const maxRevoked = 4096

func (c *cloud) revoked(ctx context.Context, name string) (string, error) {
	var answer struct{ Parameter struct{ Value string } }
	err := c.aws(ctx, &answer, "ssm", "get-parameter", "--name", name)
	if err != nil && strings.Contains(err.Error(), "ParameterNotFound") {
		return "", nil
	}
	return answer.Parameter.Value, err
}

// addRevoked gives the list with user in it, in order and once.
func addRevoked(list string, user uint) string {
	numbers := []uint{user}
	for _, word := range strings.Fields(list) {
		if n, err := strconv.ParseUint(word, 10, 32); err == nil {
			numbers = append(numbers, uint(n))
		}
	}
	slices.Sort(numbers)
	var words []string
	for _, n := range slices.Compact(numbers) {
		words = append(words, fmt.Sprint(n))
	}
	return strings.Join(words, " ")
}
