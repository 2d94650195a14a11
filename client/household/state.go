// Package household is what a client shows to those who live with it: a page at the ports that phones use, for any
// browser on the network, and how it does, for programs. Nothing of it names a link, a front's host, or whoever uses the client.
package household

import (
	"sync"
	"time"
)

// State is how a client does. Its JSON is what "culvert status --json" prints of each client, and only ever gets more fields.
type State struct {
	Connected bool      `json:"connected"`         // there is a way to the origin, or Resting
	Resting   bool      `json:"resting,omitempty"` // there is none while nobody uses the client
	Front     int       `json:"front"`             // number, from 1, of the front in use, or of the next to be tried
	Fronts    int       `json:"fronts"`            // how many there are
	Door      string    `json:"door,omitempty"`    // "stream" or "gateway", of the front in use
	RTT       float64   `json:"rtt_ms,omitempty"`  // the shortest round trip to the origin
	Open      int       `json:"open"`              // connections of apps
	Carriers  int       `json:"carriers"`          // connections to the origin
	Sent      uint64    `json:"sent"`              // bytes of the apps' connections so far, towards WhatsApp
	Received  uint64    `json:"received"`          // and back
	Up        uint64    `json:"up_bytes_s"`        // bytes a second, lately
	Down      uint64    `json:"down_bytes_s"`
	Since     time.Time `json:"since"` // when the client began
	Setting   Setting   `json:"app"`
	LAN       bool      `json:"lan"` // phones on the same network are let in
	PID       int       `json:"pid"`
}

// Setting is what goes into the app's proxy setting.
type Setting struct {
	Host  string `json:"host,omitempty"`
	Chat  uint16 `json:"chat_port,omitempty"`
	Media uint16 `json:"media_port,omitempty"`
	Link  string `json:"link,omitempty"` // sets the app when it is opened on the phone; empty: none can
}

// Doors, as State has them.
const (
	Stream  = "stream"
	Gateway = "gateway"
)

// Meter tells how fast totals grow. Its zero value is ready; it may be used by many goroutines.
type Meter struct {
	mu   sync.Mutex // guards the following
	old  sample     // a second or more before new
	last sample
}

type sample struct {
	at       time.Time
	up, down uint64
}

// A rate is of the time since the last look, but of no less than shortest, and no more than longest.
const (
	shortest = time.Second
	longest  = 30 * time.Second
)

// Rate notes totals, and returns how many bytes a second they grew by lately; 0 at the first look.
func (m *Meter) Rate(now time.Time, up, down uint64) (upRate, downRate uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Sub(m.last.at) >= shortest {
		m.old, m.last = m.last, sample{now, up, down}
	}
	took := now.Sub(m.old.at)
	if m.old.at.IsZero() || took > longest {
		return 0, 0
	}
	return perSecond(up-m.old.up, took), perSecond(down-m.old.down, took)
}

func perSecond(n uint64, took time.Duration) uint64 { return uint64(float64(n) / took.Seconds()) }
