package cost

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Plan is what a month's cost is asked for.
type Plan struct {
	Users         int      `json:"users"`
	MBPerUser     float64  `json:"mb_per_user"`             // a month, both directions; 1,024 MB are a GB
	Topology      Topology `json:"topology"`                // empty: solo while the smallest instance does
	InstanceType  string   `json:"instance_type,omitempty"` // empty: the smallest that does
	AtLeast       int      `json:"at_least,omitempty"`      // instances of a fleet
	GatewayShare  float64  `json:"gateway_share"`           // 0 to 1, of the users and their traffic
	Distributions int      `json:"distributions"`           // each has an alarm, and there is a quota
	Assumptions   `json:"assumptions"`
}

// Month is what a plan needs and costs.
type Month struct {
	Plan
	Instance  string  `json:"instance"`
	Instances int     `json:"instances"`
	Messages  float64 `json:"peak_messages"` // of API Gateway a second, when most is going on
	Lines     []Line  `json:"lines"`
	Idle      float64 `json:"idle"` // of the total, what is due without any user
	Total     float64 `json:"total"`
	PerUser   float64 `json:"per_user"` // without users as if there were one
}

// MessageQuota is how many messages API Gateway carries a second, both ways and
// for an account and region, unless AWS is asked for more.
const MessageQuota = 10_000

// maxUsers and maxMB keep every number of a bill in range.
const (
	maxUsers = 1_000_000_000
	maxMB    = 1_000_000
)

// check refuses what no plan can be.
func (p Plan) check() error {
	switch {
	case p.Users < 0 || p.Users > maxUsers:
		return fmt.Errorf("a relay for %d users; give a number from 0 to %d", p.Users, maxUsers)
	case !(p.MBPerUser >= 0 && p.MBPerUser <= maxMB): // NaN fails too
		return fmt.Errorf("%v MB are no amount for a user and a month; give 0 to %d, 300 for example", p.MBPerUser, maxMB)
	case !(p.GatewayShare >= 0 && p.GatewayShare <= 1):
		return fmt.Errorf("a share of %v %% by the gateway door; give 0 to 100", p.GatewayShare*100)
	case p.Distributions < 1 || p.Distributions > maxDistributions:
		return fmt.Errorf("%d distributions; a VPC origin serves 1 to %d", p.Distributions, maxDistributions)
	}
	return nil
}

// maxDistributions is CloudFront's quota of distributions for one VPC origin.
const maxDistributions = 50

// Month is what plan costs by price list p. An error says what to change.
func (p Prices) Month(plan Plan, free Free) (Month, error) {
	if err := plan.check(); err != nil {
		return Month{}, err
	}
	topology, m, n, err := plan.size()
	if err != nil {
		return Month{}, err
	}
	plan.Topology = topology
	p = p.with(Instances, p.Types[m.name])
	use := plan.standing(n)
	month := Month{Plan: plan, Instance: m.name, Instances: n, Idle: Total(p.Bill(use, free))}
	use.Add(plan.traffic())
	month.Messages = use[Messages] * 1e6 / (Hours * 3600) * plan.Peak
	month.Lines = p.Bill(use, free)
	month.Total = Total(month.Lines)
	month.PerUser = month.Total / float64(max(plan.Users, 1))
	return month, nil
}

// standing is what n instances and what belongs to them use without a user.
func (p Plan) standing(n int) Use {
	u := Use{
		Instances: Hours * float64(n), Addresses: Hours * float64(n), Disks: p.DiskGB * float64(n),
		Secrets: p.Secrets, Alarms: p.Alarms + float64(p.Distributions), Storage: p.StorageGB,
	}
	if p.Topology == Fleet {
		u[Balancer] = Hours
	}
	return u
}

// traffic is what the users use.
func (p Plan) traffic() Use {
	gb := float64(p.Users) * p.MBPerUser / 1024
	down, up := gb*p.Down, gb*(1-p.Down)
	g, s := p.GatewayShare, 1-p.GatewayShare
	u := p.stream(down*s, up*s, p.online()*s)
	carriers, chats := p.all(p.Carriers), p.all(p.Chats)
	u.Add(Use{EdgeRequests: carriers * s / 1e6, EdgeFunctions: carriers * s / 1e6})
	u.Add(p.gateway(down*g, up*g, p.online()*g, chats*g, carriers*g))
	if p.Topology == Fleet {
		u.Add(p.balanced((down+up)*s+up*g*p.Growth, p.online()))
	}
	return u
}

// all is a month of all users of what one does so often a day.
func (p Plan) all(daily float64) float64 { return float64(p.Users) * daily * Days }

// balanced is what gb and connections through the load balancer use. A NLCU is
// 1 GB or 100,000 connections, whichever is more.
func (p Plan) balanced(gb, connections float64) Use {
	return Use{BalancerUnits: max(gb, connections/100_000*Hours), ZoneData: gb * p.Crossing}
}

// Assumptions are what a plan takes for granted.
type Assumptions struct {
	Down         float64 `json:"down"`          // the part of the traffic that goes to users
	Online       float64 `json:"online"`        // the part of the users connected at once
	Peak         float64 `json:"peak"`          // the busiest minutes' traffic, as a multiple of the average
	Fill         float64 `json:"fill"`          // how far an instance's network and memory may be filled
	ClientMemory float64 `json:"client_memory"` // bytes of the origin for a connected user
	Carriers     float64 `json:"carriers"`      // WebSockets a user opens a day
	PingMB       float64 `json:"ping_mb"`       // to a user who is connected all month
	Crossing     float64 `json:"crossing"`      // the part of a balancer's traffic that goes to another zone

	Units     float64 `json:"units"`      // API Gateway's messages for a MB, either way, acks among them
	Acks      float64 `json:"acks"`       // of them those that go the other way
	Growth    float64 `json:"growth"`     // bytes of text for a byte carried
	Chats     float64 `json:"chats"`      // requests of the app for chat a day, each with its answer
	PerChat   float64 `json:"per_chat"`   // API Gateway's messages for one; half of them come from the user
	KeepAlive float64 `json:"keep_alive"` // messages of an idle connection in a month
	FunctionS float64 `json:"function_s"` // GB-seconds of an invocation
	LogBytes  float64 `json:"log_bytes"`  // that Lambda logs of an invocation

	DiskGB    float64 `json:"disk_gb"` // of an instance
	Secrets   float64 `json:"secrets"`
	Alarms    float64 `json:"alarms"`     // by metrics, beside one for each distribution
	StorageGB float64 `json:"storage_gb"` // of packages and layers
}

// Usual are the assumptions unless measured otherwise.
func Usual() Assumptions {
	return Assumptions{
		Down: 0.75, Online: 0.15, Peak: 4, Fill: 0.5,
		ClientMemory: 15_000, // measured, with 9,900 idle clients
		Carriers:     10,
		PingMB:       6, // every 25 s, 57 bytes with TLS and WebSocket
		Crossing:     0.5,

		Units: 46, Acks: 5, // measured through the emulator, as the next: test/e2e/price_test.go
		Growth: 1.25, // text
		Chats:  100, PerChat: 2,
		KeepAlive: 6600, // one in 8.5 minutes, and a new connection every 108 minutes
		FunctionS: 0.256 * 0.010,
		LogBytes:  0, // functions log failures alone

		DiskGB: 8, Secrets: 4, Alarms: 9, StorageGB: 0.5,
	}
}

// stream is what traffic in GB through the stream door uses, with so many
// users connected all month.
func (a Assumptions) stream(down, up, online float64) Use {
	return Use{EdgeOut: down + online*a.PingMB/1024, EdgeToOrigin: up, DataOut: up}
}

// gateway is the same for the gateway door, where each request of a chat and
// each carrier costs too. Users reach API Gateway's own name; posts from the
// origin to it stay in the region, and are taken to cost nothing.
func (a Assumptions) gateway(down, up, online, chats, carriers float64) Use {
	const mb = 1024
	messages := (down+up)*mb*a.Units + chats*a.PerChat + online*a.KeepAlive
	invocations := (up*(a.Units-a.Acks)+down*a.Acks)*mb + chats*a.PerChat/2 + online*a.KeepAlive + 2*carriers
	return Use{
		Messages:          messages / 1e6,
		ConnectionMinutes: online * Hours * 60 / 1e6,
		Requests:          invocations / 1e6,
		Duration:          invocations * a.FunctionS,
		Logs:              invocations * a.LogBytes / GB,
		DataOut:           down*a.Growth + up,
	}
}

// machine is what a type of EC2 instance has. Its network's baseline holds for
// hours, unlike the burst that AWS's tables call "up to".
type machine struct {
	name     string
	megabits float64 // a second, each way
	memory   float64 // bytes
	hour     float64 // dollars, in us-east-1
}

// machines are all that have a price: first those that a plan takes by itself,
// by size. AWS's user guide for EC2 has their networks' baselines.
var machines = []machine{
	{"t4g.nano", 32, 0.5 * GB, 0.0042},
	{"t4g.micro", 64, 1 * GB, 0.0084},
	{"t4g.small", 128, 2 * GB, 0.0168},
	{"t4g.medium", 256, 4 * GB, 0.0336},
	{"c7g.large", 937, 4 * GB, 0.0725},
	{"c7g.xlarge", 1876, 8 * GB, 0.145},

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

// usualMachines are those that a plan takes by itself.
var usualMachines = machines[:6]

// instanceTypes are the prices of machines; of c7 types they are remembered.
func instanceTypes() map[string]Rate {
	rates := map[string]Rate{}
	for _, m := range machines {
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
	for _, m := range usualMachines {
		if n(m) <= 1 {
			return Solo, m, 1, nil
		}
	}
	return "", machine{}, 0, fmt.Errorf("one instance does not carry so many users; ask for a fleet")
}

// sizeOf is size for a type that was chosen, of which solo has one.
func (p Plan) sizeOf(name string, n func(machine) int) (Topology, machine, int, error) {
	i := slices.IndexFunc(machines, func(m machine) bool { return m.name == name })
	if i < 0 {
		return "", machine{}, 0, fmt.Errorf("no price is known for a %s", name)
	}
	m := machines[i]
	switch {
	case p.Topology == Fleet:
		return Fleet, m, max(n(m), p.AtLeast, 2), nil
	case n(m) > 1:
		return "", machine{}, 0, fmt.Errorf("one %s does not carry so many users; take a larger one, or a fleet", name)
	}
	return Solo, m, 1, nil
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

// Marginal is what a little more of everything costs through a door, in
// dollars, once free allowances are used up and bands are not yet.
type Marginal struct {
	Down float64 `json:"down"` // a GB to users
	Up   float64 `json:"up"`   // a GB from users, and on to WhatsApp
	Idle float64 `json:"idle"` // a connection open all month
	User float64 `json:"user"` // a user and month of the plan
}

// Marginal compares the doors for the users of plan, whose topology must be
// set. A fleet's load balancer is reckoned in, instances are not.
func (p Prices) Marginal(plan Plan) (stream, gateway Marginal) {
	plan.Users = 1
	through := func(share float64) Marginal {
		plan := plan
		plan.GatewayShare = share
		user := p.cost(plan.traffic())
		plan.MBPerUser, plan.Carriers, plan.Chats = 0, 0, 0
		plan.Online = 1
		idle := p.cost(plan.traffic())
		plan.Online, plan.MBPerUser = 0, 1024
		plan.Down = 1
		down := p.cost(plan.traffic())
		plan.Down = 0
		return Marginal{Down: down, Up: p.cost(plan.traffic()), Idle: idle, User: user}
	}
	return through(0), through(1)
}

func (p Prices) cost(u Use) float64 { return Total(p.Bill(u, NothingFree)) }
