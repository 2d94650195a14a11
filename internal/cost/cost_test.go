package cost

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestEachBandHasItsPrice(t *testing.T) {
	t.Parallel()
	r := Rate{Bands: bands(10, 3, 20, 2, 1), Free: 4}
	ends := Rate{Bands: flat(1), Free: 4, Ends: true}
	for _, c := range []struct {
		rate  Rate
		units float64
		free  Free
		want  float64
	}{
		{r, 0, NothingFree, 0},
		{r, 4, AlwaysFree, 0},
		{r, 5, AlwaysFree, 3},
		{r, 5, NothingFree, 15},
		{r, 10, AlwaysFree, 18},
		{r, 25, AlwaysFree, 18 + 20 + 5},
		{r, 25, NothingFree, 30 + 20 + 5},
		{ends, 6, AlwaysFree, 6},
		{ends, 6, FirstYear, 2},
	} {
		if got := c.rate.Cost(c.units, c.free); got != c.want {
			t.Errorf("%v units of %+v: got %v, want %v", c.units, c.rate, got, c.want)
		}
	}
}

func TestEachItemHasAPriceInEachRegion(t *testing.T) {
	t.Parallel()
	for region := range regions {
		for edge := range edges {
			p := list(t, region, edge)
			p = p.with(Instances, p.Types["t4g.nano"])
			if len(p.Rates) != len(Items) {
				t.Errorf("%s: got %d rates for %d items", region, len(p.Rates), len(Items))
			}
			for _, item := range Items {
				r := p.Rates[item]
				if r.Cost(1e12, AlwaysFree) <= 0 || r.Unit == "" || r.Source == "" {
					t.Errorf("%s: %s: got %+v, want a price with unit and source", region, item, r)
				}
			}
		}
	}
}

func TestALaterBandIsNeverDearer(t *testing.T) {
	t.Parallel()
	for edge := range edges {
		for item, r := range list(t, "us-east-1", edge).Rates {
			for i := range r.Bands[1:] {
				if a, b := r.Bands[i], r.Bands[i+1]; b.Price > a.Price || b.UpTo <= a.UpTo {
					t.Errorf("%s, %s: got %v after %v", edge, item, b, a)
				}
			}
			if last := r.Bands[len(r.Bands)-1]; !math.IsInf(last.UpTo, 1) {
				t.Errorf("%s, %s: got an end at %v, want none", edge, item, last.UpTo)
			}
		}
	}
}

func TestListsStayAsTheyWere(t *testing.T) {
	t.Parallel()
	p := USEast1()
	p.OnX86()
	month(t, p, collected())
	if got := p.Rates[Duration].Bands[0].Price; got != perGBSecondArm {
		t.Errorf("got %v for a GB-second on arm64, want %v", got, perGBSecondArm)
	}
	if _, there := p.Rates[Instances]; there {
		t.Error("got a rate for instances, want it in the month's copy only")
	}
}

func TestAForeignRegionSaysWhatIsInferred(t *testing.T) {
	t.Parallel()
	for region, want := range map[string]bool{"us-east-1": false, "eu-central-1": true} {
		if got := slices.Contains(list(t, region, "us").Inferred(), Messages); got != want {
			t.Errorf("%s: got %v, want inferred messages %v", region, got, want)
		}
	}
	if all := list(t, "us-east-1", "india").Inferred("t4g.nano"); len(all) > 0 {
		t.Errorf("us-east-1: got %v, want nothing inferred", all)
	}
	if p := list(t, "eu-central-1", "us"); p.Types["t4g.small"].Bands[0].Price != 0.0192 {
		t.Errorf("got %v for a t4g.small in eu-central-1, want 0.0192", p.Types["t4g.small"].Bands)
	}
}

func TestWhatNoPlanCanBeIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Plan)
		want   string
	}{
		"users below 0":        {func(p *Plan) { p.Users = -1 }, "from 0 to"},
		"users above mankind":  {func(p *Plan) { p.Users = maxUsers + 1 }, "from 0 to"},
		"traffic below 0":      {func(p *Plan) { p.MBPerUser = -1 }, "300 for example"},
		"traffic without end":  {func(p *Plan) { p.MBPerUser = math.Inf(1) }, "300 for example"},
		"traffic of no number": {func(p *Plan) { p.MBPerUser = math.NaN() }, "300 for example"},
		"share below 0":        {func(p *Plan) { p.GatewayShare = -0.1 }, "0 to 100"},
		"share above all":      {func(p *Plan) { p.GatewayShare = 1.01 }, "101 %"},
		"no distribution":      {func(p *Plan) { p.Distributions = 0 }, "1 to 50"},
		"too many of them":     {func(p *Plan) { p.Distributions = 51 }, "1 to 50"},
		"another topology":     {func(p *Plan) { p.Topology = "swarm" }, "solo and fleet"},
		"solo for a country":   {func(p *Plan) { p.Topology, p.Users = Solo, 1_000_000 }, "fleet"},
	} {
		plan := Plan{Users: 100, MBPerUser: 300, Distributions: 1, Assumptions: Usual()}
		c.change(&plan)
		if _, err := USEast1().Month(plan, AlwaysFree); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q in it", name, err, c.want)
		}
	}
}

func TestAnUnknownListNamesThoseKnown(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{
		{"atlantis-1", "us", "eu-central-1, eu-west-1, us-east-1"},
		{"", "us", "us-west-2"},
		{"us-east-1", "moon", "europe, india, japan"},
	} {
		if _, err := List(c[0], c[1]); err == nil || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("%q, %q: got %v, want %q in it", c[0], c[1], err, c[2])
		}
	}
}

func TestTheOriginGrowsWithItsUsers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		users     int
		topology  Topology
		instance  string
		instances int
	}{
		{0, "", "t4g.nano", 1},
		{4_000, "", "t4g.nano", 1},
		{5_000, "", "t4g.small", 2},
		{5_000, Solo, "t4g.micro", 1},
		{0, Fleet, "t4g.small", 2},
		{60_000, "", "t4g.small", 4},
		{70_000, "", "c7g.large", 2},
		{1_000_000, "", "c7g.large", 9},
	} {
		m := month(t, USEast1(), Plan{Users: c.users, MBPerUser: 300, Topology: c.topology, Distributions: 1, Assumptions: Usual()})
		if m.Instance != c.instance || m.Instances != c.instances {
			t.Errorf("%d users: got %d × %s, want %d × %s", c.users, m.Instances, m.Instance, c.instances, c.instance)
		}
	}
}

// Users who send nothing still need memory.
func TestTheOriginGrowsWithMemoryToo(t *testing.T) {
	t.Parallel()
	plan := Plan{Users: 1_000_000, Distributions: 1, Assumptions: Usual()}
	if m := month(t, USEast1(), plan); m.Topology != Fleet || m.Instances != 3 {
		t.Errorf("got %s of %d × %s, want a fleet of 3", m.Topology, m.Instances, m.Instance)
	}
}

func TestWhatTheMeterWritesIsReadBack(t *testing.T) {
	t.Parallel()
	u := GatewayUse{Messages: 1, ConnectionMinutes: 2, Invocations: 3, GBSeconds: 4.5, BytesOut: 5}
	b, err := json.Marshal(u)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadGatewayUse(b)
	if err != nil || got != u {
		t.Errorf("got %+v, %v from %s, want %+v", got, err, b, u)
	}
}

func TestWhatNoMeterWritesIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		``, `null`, `[]`, `{}`, `{"messages":-1}`, `{"messages":1.5}`, `{"messages":1e99}`, `{"gb_seconds":-1}`,
		`{"gb_seconds":1e300}`, `{"messages":1,"users":2}`, `{"messages":1} x`, `{"messages":"1"}`,
	} {
		if u, err := ReadGatewayUse([]byte(text)); err == nil || !strings.Contains(err.Error(), "bin/local gateway") {
			t.Errorf("%s: got %+v, %v, want a refusal that says what to try", text, u, err)
		}
	}
}

func TestADaysUseIsBilledByItem(t *testing.T) {
	t.Parallel()
	day := GatewayUse{Messages: 1e6, ConnectionMinutes: 4e6, Invocations: 5e6, GBSeconds: 75_000, BytesOut: 2 * GB}
	lines := USEast1().Bill(day.Use(), NothingFree)
	near(t, "a day", Total(lines), 1+1+1+1+0.18, 0.001)
	near(t, "two days", Total(USEast1().Bill(day.Use().Times(2), NothingFree)), 2*4.18, 0.001)
	near(t, "on x86", USEast1().OnX86().Bill(day.Use(), NothingFree)[4].Dollars, 1.25, 0.001)
}

func TestAPlanMayNameItsInstance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		topology Topology
		users    int
		hour     float64
		n        int
		want     string // of the error
	}{
		{"t4g.micro", Solo, 100, 0.0084, 1, ""},
		{"t3.nano", "", 100, 0.0052, 1, ""},
		{"c7i.large", Fleet, 100, 0.08925, 2, ""},
		{"t4g.nano", Solo, 100_000, 0, 0, "take a larger one, or a fleet"},
		{"m1.small", Solo, 100, 0, 0, "no price is known"},
	} {
		m, err := USEast1().Month(Plan{Users: c.users, MBPerUser: 300, Topology: c.topology, InstanceType: c.name, Distributions: 1, Assumptions: Usual()}, AlwaysFree)
		switch {
		case c.want != "":
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want %q", c.name, err, c.want)
			}
		case err != nil:
			t.Errorf("%s: got %v", c.name, err)
		case m.Instance != c.name || m.Instances != c.n || math.Abs(m.Lines[0].Dollars-c.hour*Hours*float64(c.n)) > 0.001:
			t.Errorf("%s: got %d of %s for %.2f $, want %d for %.2f", c.name, m.Instances, m.Instance, m.Lines[0].Dollars, c.n, c.hour*Hours*float64(c.n))
		}
	}
}
