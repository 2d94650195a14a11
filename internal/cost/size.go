package cost

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// machine is what a type of EC2 instance has. Its network's baseline holds for
// hours, unlike the burst that AWS's tables call "up to".
type machine struct {
	name     string
	megabits float64 // a second, each way
	memory   float64 // bytes
	hour     float64 // dollars, in us-east-1
}

// machines are by size, those that a plan takes by itself. AWS's user guide for
// EC2 has their networks' baselines.
var machines = []machine{
	{"t4g.nano", 32, 0.5 * GB, 0.0042},
	{"t4g.micro", 64, 1 * GB, 0.0084},
	{"t4g.small", 128, 2 * GB, 0.0168},
	{"t4g.medium", 256, 4 * GB, 0.0336},
	{"c7g.large", 937, 4 * GB, 0.0725},
	{"c7g.xlarge", 1876, 8 * GB, 0.145},
}

// others are those that a plan has only if it names them.
var others = []machine{
	{"t3.nano", 32, 0.5 * GB, 0.0052},
	{"t3.micro", 64, 1 * GB, 0.0104},
	{"t3.small", 128, 2 * GB, 0.0208},
	{"t3.medium", 256, 4 * GB, 0.0416},
	{"c7g.medium", 520, 2 * GB, 0.0363},
	{"c7gn.medium", 3125, 2 * GB, 0.0624},
	{"c7gn.large", 6250, 4 * GB, 0.1248},
	{"c7i.large", 781, 4 * GB, 0.08925},
	{"c7i.xlarge", 1562, 8 * GB, 0.1785},
}

// instanceTypes are the prices of machines; of c7 types they are remembered.
func instanceTypes() map[string]Rate {
	rates := map[string]Rate{}
	for _, m := range slices.Concat(machines, others) {
		rates[m.name] = Rate{Unit: "hours", Bands: flat(m.hour), Source: computing, Inferred: strings.HasPrefix(m.name, "c7")}
	}
	return rates
}

// Topology is how the origin is laid out.
type Topology string

const (
	Solo  Topology = "solo"  // one instance
	Fleet Topology = "fleet" // at least two, behind a load balancer
)

// few is how many small instances a fleet has before it takes larger ones.
const few = 4

// size says what a plan's origin runs on: of solo the smallest that does, of a
// fleet at least two, small ones while few do; or on what the plan names.
func (p Plan) size() (Topology, machine, int, error) {
	n := func(m machine) int { return int(math.Ceil(p.load(m))) }
	if p.InstanceType != "" {
		return p.sizeOf(p.InstanceType, n)
	}
	small := machines[0]
	switch {
	case p.Topology == Fleet || p.Topology == "" && n(small) > 1:
		m := machines[2]
		if n(m) > few {
			m = machines[4]
		}
		return Fleet, m, max(n(m), p.AtLeast, 2), nil
	case p.Topology != Solo && p.Topology != "":
		return "", machine{}, 0, fmt.Errorf("no topology %q; there are solo and fleet", p.Topology)
	}
	for _, m := range machines {
		if n(m) <= 1 {
			return Solo, m, 1, nil
		}
	}
	return "", machine{}, 0, fmt.Errorf("one instance does not carry so many users; ask for a fleet")
}

// sizeOf is size for a type that was chosen, of which solo has one.
func (p Plan) sizeOf(name string, n func(machine) int) (Topology, machine, int, error) {
	all := slices.Concat(machines, others)
	i := slices.IndexFunc(all, func(m machine) bool { return m.name == name })
	switch {
	case i < 0:
		return "", machine{}, 0, fmt.Errorf("no price is known for a %s", name)
	case p.Topology == Fleet:
		return Fleet, all[i], max(n(all[i]), p.AtLeast, 2), nil
	case n(all[i]) > 1:
		return "", machine{}, 0, fmt.Errorf("one %s does not carry so many users; take a larger one, or a fleet", name)
	}
	return Solo, all[i], 1, nil
}

// load is how many of m carry the plan: by its network or by its memory,
// whichever is short, and neither filled beyond Assumptions.Fill.
func (p Plan) load(m machine) float64 {
	memory := p.online() * p.ClientMemory / m.memory
	return max(p.peakMegabits()/m.megabits, memory) / p.Fill
}

// online is how many users are connected at once.
func (p Plan) online() float64 { return float64(p.Users) * p.Online }

// peakMegabits is what crosses the origin a second in each direction when most
// is going on: what comes in goes out again.
func (p Plan) peakMegabits() float64 {
	bits := float64(p.Users) * p.MBPerUser * (1 << 20) * 8
	return bits / (Hours * 3600) * p.Peak / 1e6
}
