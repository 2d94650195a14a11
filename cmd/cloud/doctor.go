package main

import (
	"context"
	"os"
	"time"
)

// doctorPause is for fronts that are not everywhere yet.
const doctorPause = 30 * time.Second

// standInRoot is for tests, where a stand-in is in WhatsApp's place: the key
// that chat is to prove itself by. We say so, and so does doctor's verdict.
const standInRoot = "CULVERT_STAND_IN_ROOT"

// doctor tests every front of the link.
func (c *cloud) doctor(ctx context.Context, text string) error {
	if c.doctorTries < 1 {
		return nil
	}
	c.title("Testing every front and door")
	ask := call{name: c.culvertPath, args: []string{"doctor", "--link-file", "-", "--names", "--every"}, stdin: text, show: c.w}
	if root := os.Getenv(standInRoot); root != "" {
		c.note("%s is set, which is for tests: this does not ask whether WhatsApp answers.", standInRoot)
		ask.args = append(ask.args, "--chat-root", root)
	}
	for try := 1; ; try++ {
		_, err := c.run(ctx, ask)
		switch {
		case err == nil || ctx.Err() != nil:
			return ctx.Err()
		case try >= c.doctorTries:
			return &advice{"it is deployed, and not all of it works yet",
				"New fronts need some minutes until all of CloudFront knows them. Test again with:\n  bin/culvert doctor LINK\nIf chat fails there and not " +
					"from the origin, this network blocks the front: make deploy DISTRIBUTIONS=n makes more of them.", err}
		}
		c.note("Trying again in %s: new fronts need some minutes until all of CloudFront knows them.", tookText(doctorPause))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(doctorPause):
		}
	}
}
