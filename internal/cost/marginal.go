package cost

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
