// Package settings reads what the three functions are told by their
// environment.
package settings

import (
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/caarlos0/env/v11"

	"culvert/edge"
	"culvert/internal/wire"
)

type config struct {
	Gate   string  `env:"CULVERT_GATE,unset"` // gate secrets, the newest first; leave the environment once read
	Origin url.URL `env:"CULVERT_ORIGIN"`     // http://host:port of the origin
	API    string  `env:"CULVERT_API"`        // id of the API whose events are taken
	Stage  string  `env:"CULVERT_STAGE"`      // and its stage
}

// Gate makes the function's gate. A mistake in the settings ends the process;
// Lambda then shows what it wrote, and fails the invocation.
func Gate() *edge.Gate {
	gate, err := parse()
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot start: correct CULVERT_GATE, CULVERT_ORIGIN, CULVERT_API or CULVERT_STAGE:", err)
		os.Exit(1)
	}
	return gate
}

func parse() (*edge.Gate, error) {
	c, err := env.ParseAs[config]()
	if err != nil {
		return nil, errors.New("the origin is not a URL") // the only field that is parsed
	}
	keys, err := wire.ParseGateKeys(c.Gate)
	if err != nil {
		return nil, err
	}
	return edge.New(edge.Config{Keys: keys, Origin: &c.Origin, API: c.API, Stage: c.Stage, Log: lambdacontext.NewLogger()})
}
