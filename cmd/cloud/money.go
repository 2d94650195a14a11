package main

import (
	"fmt"

	"culvert/internal/cost"
)

// money reckons what the month has cost until now.
func (c *cloud) money(t traffic, s stack) {
	if t.err != nil {
		c.note("Not all of the traffic could be read: %s", firstLine(c.explain(t.err)))
	}
	c.good("Stream door: %s to users, %s from them", bytesText(t.down), bytesText(t.up))
	c.good("Gateway door: %.0f messages, in %.0f connections", t.messages, t.connections)
	month, region, err := c.month(s)
	if err != nil {
		c.note("No estimate: %v", err)
		return
	}
	spent := month.Idle*t.since.Hours()/cost.Hours + c.carried(t, month.Topology, region)
	c.good("About %.2f $ until now; without any traffic a month is %.2f $", spent, month.Idle)
	c.hint("Reckoned from list prices of %s with AWS's free allowances, the gateway door at its dearest. "+
		"Your bill: https://console.aws.amazon.com/billing (asking AWS for it from here would cost 0.01 $ each time).", cost.Date)
}

// carried is the cost of the traffic.
func (c *cloud) carried(t traffic, topology cost.Topology, region string) float64 {
	prices, err := cost.List(region, "europe")
	if err != nil {
		return 0
	}
	use := t.gateway().Use()
	use.Add(t.stream())
	if topology == cost.Fleet {
		use.Add(t.balanced())
	}
	return cost.Total(prices.Bill(use, cost.AlwaysFree))
}

// CloudWatch does not tell how long connections lasted, of how many units of
// 32 KB messages were, or the functions' memory, which the template sets.
const (
	longestConnection = 120 // minutes, after which API Gateway ends one
	unit              = 32 << 10
	mostUnits         = 4    // of a message
	textGrowth        = 1.25 // of what the door carries as text
	functionGB        = 256.0 / 1024
)

func (t traffic) gateway() cost.GatewayUse {
	return cost.GatewayUse{
		Messages:          uint64(t.units()),
		ConnectionMinutes: uint64(t.connections * longestConnection),
		Invocations:       uint64(t.calls),
		GBSeconds:         t.milliseconds / 1000 * functionGB,
	}
}

// units are at most those of the messages: one for each, and one more for each
// 32 KB of what the origin sent by this door, to users and to WhatsApp.
func (t traffic) units() float64 {
	text := max(t.sent-t.down-t.up, 0) * textGrowth
	return min(t.messages+text/unit, t.messages*mostUnits)
}

// stream is what CloudFront carried, and what left the region: all that the
// origin sent but what CloudFront took, which is free. Of the rest, what goes
// to WhatsApp is charged there, and what goes to API Gateway when that sends
// it on. A machine that took another's place this month does not tell what
// that sent, which is at least what users sent through it.
func (t traffic) stream() cost.Use {
	return cost.Use{
		cost.EdgeOut:       t.down / cost.GB,
		cost.EdgeToOrigin:  t.up / cost.GB,
		cost.DataOut:       max(t.sent-t.down, t.up) / cost.GB,
		cost.EdgeRequests:  t.requests / 1e6,
		cost.EdgeFunctions: t.requests / 1e6,
	}
}

// balanced is what a fleet's load balancer adds.
func (t traffic) balanced() cost.Use {
	gb := (t.down + t.up) / cost.GB
	return cost.Use{cost.BalancerUnits: gb, cost.ZoneData: gb * cost.Usual().Crossing}
}

func bytesText(n float64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", n/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", n/1e6)
	}
	return fmt.Sprintf("%.0f kB", n/1e3)
}
