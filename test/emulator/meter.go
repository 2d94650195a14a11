package emulator

import (
	"fmt"
	"io"
	"sync"
	"text/tabwriter"
	"time"

	"culvert/internal/cost"
)

// unit is what API Gateway counts messages in [11].
const unit = 32 << 10

// Meter counts what AWS would charge for. One meter serves a gateway and its
// functions, or several of them; nil counts nothing.
type Meter struct {
	mu          sync.Mutex // guards the following
	in, out     int64      // messages from and to clients, in units of 32 KB
	bytesOut    int64      // to clients, with the frames' headers
	invocations int64
	mbMillis    int64 // megabytes of memory times milliseconds billed
	minutes     int64 // of connections that have ended
	open        map[string]time.Time
}

func units(bytes int) int64 { return int64(max(1, (bytes+unit-1)/unit)) }

func (m *Meter) received(bytes int) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.in += units(bytes)
}

func (m *Meter) sent(bytes, onTheWire int) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.out += units(bytes)
	m.bytesOut += int64(onTheWire)
}

// invoked is told of each invocation that was started; Lambda rounds its
// duration up to a millisecond.
func (m *Meter) invoked(memoryMB int, took time.Duration) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.invocations++
	m.mbMillis += int64(memoryMB) * begun(took, time.Millisecond)
}

func (m *Meter) opened(id string) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open == nil {
		m.open = map[string]time.Time{}
	}
	m.open[id] = time.Now()
}

func (m *Meter) closed(id string) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.minutes += begun(time.Since(m.open[id]), time.Minute)
	delete(m.open, id)
}

// begun is how many periods have begun after took, at least one.
func begun(took, period time.Duration) int64 {
	return int64(max(1, (took+period-1)/period))
}

// Use is what was counted so far; connections that are open count the minutes
// they have begun.
func (m *Meter) Use() cost.GatewayUse {
	m.mu.Lock()
	defer m.mu.Unlock()
	minutes := m.minutes
	for _, since := range m.open {
		minutes += begun(time.Since(since), time.Minute)
	}
	return cost.GatewayUse{
		Messages:          uint64(m.in + m.out),
		ConnectionMinutes: uint64(minutes),
		Invocations:       uint64(m.invocations),
		GBSeconds:         float64(m.mbMillis) / 1024 / 1000,
		BytesOut:          uint64(m.bytesOut),
	}
}

// Charge is what AWS would want for Use once free allowances are used up.
func (m *Meter) Charge(p cost.Prices) []cost.Line {
	return p.Bill(m.Use().Use(), cost.NothingFree)
}

// Report writes Charge as a table for people.
func (m *Meter) Report(w io.Writer, p cost.Prices) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	lines := m.Charge(p)
	for _, l := range lines {
		fmt.Fprintf(t, "%s\t%.6f %s\t%.6f $\t\n", l.Item, l.Units, l.Unit, l.Dollars)
	}
	fmt.Fprintf(t, "together\t\t%.6f $\t\n", cost.Total(lines))
	return t.Flush()
}
