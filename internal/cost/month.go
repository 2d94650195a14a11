package cost

import "fmt"

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

// MaxUsers and maxMB keep every number of a bill in range.
const (
	MaxUsers = 1_000_000_000
	maxMB    = 1_000_000
)

// check refuses what no plan can be.
func (p Plan) check() error {
	switch {
	case p.Users < 0 || p.Users > MaxUsers:
		return fmt.Errorf("a relay for %d users; give a number from 0 to %d", p.Users, MaxUsers)
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
