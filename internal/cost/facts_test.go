package cost

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
)

// near fails unless got is want, give or take a part of it.
func near(t *testing.T, what string, got, want, part float64) {
	t.Helper()
	if math.Abs(got-want) > part*want {
		t.Errorf("%s: got %.4f $, want %.4f ± %.0f %%", what, got, want, part*100)
	}
}

func list(t *testing.T, region, edge string) Prices {
	t.Helper()
	p, err := List(region, edge)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// collected are the assumptions of the figures that were collected with the
// prices, by hand from AWS's pages: they leave out what we add to them.
func collected() Plan {
	a := Usual()
	a.Secrets, a.Carriers, a.PingMB, a.Crossing = 0, 0, 0, 0
	a.Units, a.Acks, a.Chats, a.LogBytes = 1024/24.0, 0, 0, 0
	a.Growth, a.KeepAlive = 4.0/3, 4867
	return Plan{MBPerUser: 300, Distributions: 1, Assumptions: a}
}

func month(t *testing.T, p Prices, plan Plan) Month {
	t.Helper()
	m, err := p.Month(plan, AlwaysFree)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAMonthCostsWhatWasReckonedByHand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		users    int
		topology Topology
		edge     string
		want     float64
	}{
		{100, Solo, "us", 7.5},
		{100, Solo, "middle-east-africa", 7.8},
		{10_000, Fleet, "us", 240},
		{10_000, Fleet, "middle-east-africa", 297},
		{1_000_000, Fleet, "us", 22_600},
		{1_000_000, Fleet, "middle-east-africa", 32_500},
	} {
		plan := collected()
		plan.Users = c.users
		m := month(t, list(t, "us-east-1", c.edge), plan)
		if m.Topology != c.topology {
			t.Errorf("%d users: got a %s, want a %s", c.users, m.Topology, c.topology)
		}
		near(t, c.edge, m.Total, c.want, 0.02)
	}
}

func TestItemsCostWhatWasReckonedByHand(t *testing.T) {
	t.Parallel()
	plan := collected()
	plan.Users = 1_000_000
	want := map[Item]float64{EdgeOut: 12_850, EdgeToOrigin: 1_470, DataOut: 5_940, BalancerUnits: 1_760, Balancer: 16.43}
	for _, l := range month(t, USEast1(), plan).Lines {
		if dollars, known := want[l.Item]; known {
			near(t, string(l.Item), l.Dollars, dollars, 0.005)
			delete(want, l.Item)
		}
	}
	if len(want) > 0 {
		t.Errorf("got no line for %v", want)
	}
}

func TestTheGatewayDoorCostsWhatWasReckonedByHand(t *testing.T) {
	t.Parallel()
	p := USEast1()
	r := p.Rates[Messages]
	r.Bands = r.Bands[:1] // they were reckoned without the second
	r.Bands[0].UpTo = math.Inf(1)
	p = p.with(Messages, r)
	for _, c := range []struct{ kilobytes, want float64 }{{24, 513}, {8, 784}, {1, 3630}} {
		plan := collected()
		plan.Users, plan.Topology, plan.GatewayShare = 10_000, Fleet, 1
		plan.Units = 1024 / c.kilobytes
		near(t, "messages of so many kB", month(t, p, plan).Total, c.want, 0.05)
	}
}

func TestAGigabyteCostsWhatWasReckonedByHand(t *testing.T) {
	t.Parallel()
	plan := collected()
	plan.PingMB = 6
	stream, gateway := USEast1().Marginal(plan)
	near(t, "stream door down", stream.Down, 0.085, 0.01)
	near(t, "stream door up", stream.Up, 0.020+0.09, 0.01)
	near(t, "stream door idle", stream.Idle, 0.0005, 0.05)
	near(t, "gateway door down", gateway.Down, 0.16, 0.03)
	near(t, "gateway door up", gateway.Up, 0.054+0.09, 0.01)
	near(t, "gateway door idle", gateway.Idle, 0.0108+0.005, 0.10)
	plan.Topology = Fleet
	fleet, _ := USEast1().Marginal(plan)
	near(t, "load balancer", fleet.Down-stream.Down, 0.006, 0.01)
}

// A volunteer who waits for the first user pays less than 10 dollars a month,
// both generations' secrets among them.
func TestAnIdleSoloCostsLessThanTenDollars(t *testing.T) {
	t.Parallel()
	for region := range regions {
		m := month(t, list(t, region, "europe"), Plan{MBPerUser: 300, Topology: Solo, Distributions: 5, Assumptions: Usual()})
		if m.Total < 7 || m.Total >= 10 || m.Idle != m.Total {
			t.Errorf("%s: got %.2f $, %.2f of it idle, want both from 7 to 10", region, m.Total, m.Idle)
		}
		if m.Secrets != 4 {
			t.Errorf("%s: got %v secrets, want those of two generations", region, m.Secrets)
		}
	}
}

// COST.md's table of edges is the price list's.
func TestTheTableOfEdgesIsThePriceLists(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/COST.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, e := range edges {
		row := fmt.Sprintf("| %s | %.3f | %.3f | %.2f |\n", name, e.out[0].Price, e.toOrigin, e.requests)
		if !strings.Contains(string(page), row) {
			t.Errorf("COST.md lacks the row %q", row)
		}
	}
}
