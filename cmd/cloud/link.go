package main

import (
	"bytes"
	"context"
	"fmt"
)

// link makes a link for a user and shows it.
func link(ctx context.Context, c *cloud) error {
	s, err := c.standing(ctx)
	if err != nil {
		return err
	}
	_, err = c.handOut(ctx, s)
	return err
}

// firstLink ends a deployment: a link for the first user, and whether it works.
func (c *cloud) firstLink(ctx context.Context) error {
	s, err := c.describe(ctx, c.stack)
	if err != nil {
		return err
	}
	text, err := c.handOut(ctx, s)
	if err != nil {
		return err
	}
	if err := c.doctor(ctx, text); err != nil {
		return err
	}
	c.title("What next")
	c.hint("  make link USER=2    a link for the next person; a number for each\n  make status         how it does, and what it costs\n" +
		"  make destroy        ends everything, and all cost")
	return nil
}

// handOut prints the link of the chosen user, and its QR code, and returns it.
// The secrets go from one program to the other in memory.
func (c *cloud) handOut(ctx context.Context, s stack) (string, error) {
	args, err := c.linkArgs(s)
	if err != nil {
		return "", err
	}
	master, err := c.secret(ctx, s.output("MasterSecret"))
	if err != nil {
		return "", err
	}
	gate, err := c.secret(ctx, s.output("GateSecret"))
	if err != nil {
		return "", err
	}
	defer clear(master)
	defer clear(gate)
	made := call{name: c.culvertPath, args: args, secrets: [][]byte{master, gate}}
	text, err := c.run(ctx, made)
	if err != nil {
		return "", err
	}
	c.title(fmt.Sprintf("Link for user %d. It is a secret: whoever has it can use your deployment", c.user))
	made.args, made.show = append(args, "--qr"), c.w
	_, err = c.run(ctx, made)
	return string(text), err
}

// linkArgs names the fronts in the order in which to try them: the stream door
// is faster and costs less, the gateway door is there when it is blocked.
func (c *cloud) linkArgs(s stack) ([]string, error) {
	names, err := c.frontNames(s)
	if err != nil {
		return nil, err
	}
	args := []string{"link", "new", "--user", fmt.Sprint(c.user), "--secret-file", secretFile(0), "--gate-file", secretFile(1)}
	for _, name := range names {
		args = append(args, "--front", "wss://"+name+"/")
	}
	if gateway := s.output("Gateway"); gateway != "" {
		args = append(args, "--front", gateway+";door=gateway")
	}
	return args, nil
}

// secret reads one from Secrets Manager. It is never written down.
func (c *cloud) secret(ctx context.Context, name string) ([]byte, error) {
	if name == "" {
		return nil, advise("Deploy it again: make deploy", "the deployment does not name its secrets")
	}
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	b, err := c.run(ctx, call{name: c.awsPath, env: c.env(), args: []string{"secretsmanager", "get-secret-value",
		"--secret-id", name, "--query", "SecretString", "--output", "text"}})
	return bytes.TrimSpace(b), err
}
