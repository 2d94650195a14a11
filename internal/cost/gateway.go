package cost

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// GatewayUse is what the gateway door was used for in some time, as AWS meters
// it. As JSON it is what the emulator's meter writes.
type GatewayUse struct {
	Messages          uint64  `json:"messages"`           // units of 32 KB or a part, of both directions
	ConnectionMinutes uint64  `json:"connection_minutes"` // begun minutes
	Invocations       uint64  `json:"invocations"`        // of all functions
	GBSeconds         float64 `json:"gb_seconds"`         // memory × billed duration
	BytesOut          uint64  `json:"bytes_out"`          // from API Gateway to clients
}

// ReadGatewayUse reads what a meter wrote.
func ReadGatewayUse(text []byte) (u GatewayUse, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err = d.Decode(&u); err == nil {
		_, err = d.Token() // there is nothing else
	}
	switch {
	case err == nil:
		err = errors.New("more than one object")
	case !errors.Is(err, io.EOF):
	case u == GatewayUse{}:
		err = errors.New("nothing was used")
	case u.GBSeconds < 0 || u.GBSeconds > most || max(u.Messages, u.ConnectionMinutes, u.Invocations, u.BytesOut) > most:
		err = errors.New("a number that no meter shows")
	default:
		return u, nil
	}
	return GatewayUse{}, fmt.Errorf("no recorded use: %w; bin/local gateway writes such a file", err)
}

// most is more than all that AWS carries in a day.
const most = 1e18

// Use is u by item.
func (u GatewayUse) Use() Use {
	return Use{
		Messages:          float64(u.Messages) / 1e6,
		ConnectionMinutes: float64(u.ConnectionMinutes) / 1e6,
		Requests:          float64(u.Invocations) / 1e6,
		Duration:          u.GBSeconds,
		DataOut:           float64(u.BytesOut) / GB,
	}
}

// Times is a use n times as long.
func (u Use) Times(n float64) Use {
	v := Use{}
	for item, units := range u {
		v[item] = units * n
	}
	return v
}
