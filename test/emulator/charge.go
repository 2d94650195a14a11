package emulator

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"culvert/internal/cost"
)

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
