package main

import (
	"fmt"
	"strings"

	"culvert/internal/cost"
)

// assumed is what the estimate takes for granted, in sentences.
func (e costEstimate) assumed(firstYear bool) []string {
	m := e.Months[len(e.Months)-1]
	a := m.Assumptions
	texts := []string{
		fmt.Sprintf("A user moves %s MB a month, %.0f %% of it down; 1,024 MB are a GB. Pings add %s MB down for each connection open all month.", trimmed(m.MBPerUser), a.Down*100, trimmed(a.PingMB)),
		fmt.Sprintf("%.0f %% of the users are connected at once, and the busiest minutes carry %s times the average. A user opens %s WebSockets a day; each is a request to CloudFront and a call of its function.", a.Online*100, trimmed(a.Peak), trimmed(a.Carriers)),
		fmt.Sprintf("An instance is filled to %.0f %% of its network's baseline, and of its memory with %s kB for a connected user, measured. Its disk has %s GB.", a.Fill*100, trimmed(a.ClientMemory/1000), trimmed(a.DiskGB)),
		fmt.Sprintf("%s secrets are kept: two for each of the two generations of a rotation. A distribution costs an alarm, and what the origin sends to CloudFront nothing.", trimmed(a.Secrets)),
	}
	if m.Topology == cost.Fleet {
		texts = append(texts, fmt.Sprintf("Of the load balancer's traffic %.0f %% goes to an instance in another zone.", a.Crossing*100))
	}
	return append(append(texts, e.gatewayAssumed()...), freeText(firstYear), pricesText()+e.inferredText())
}

// gatewayAssumed is about the gateway door, which the table of doors shows even
// where nobody uses it.
func (e costEstimate) gatewayAssumed() []string {
	m := e.Months[len(e.Months)-1]
	a := m.Assumptions
	texts := []string{fmt.Sprintf("By the gateway door come %s %% of the users. There a MB takes %s messages of API Gateway, %s of them acks, and grows by %.0f %% as text; a user asks %s times a day for something of chat, in %s messages each; an idle connection sends %s messages a month. A call of a function takes %.4f GB-s and logs nothing unless it fails. The origin's posts to API Gateway stay in the region and cost nothing.",
		trimmed(m.GatewayShare*100), trimmed(a.Units), trimmed(a.Acks), (a.Growth-1)*100, trimmed(a.Chats), trimmed(a.PerChat), trimmed(a.KeepAlive), a.FunctionS)}
	for _, m := range e.Months {
		if m.Messages > cost.MessageQuota {
			texts = append(texts, fmt.Sprintf("With %s users API Gateway carries up to %s messages a second: ask AWS to raise its quota of %s.", thousands(m.Users), amount(m.Messages), thousands(cost.MessageQuota)))
		}
	}
	return texts
}

func freeText(firstYear bool) string {
	if firstYear {
		return "What is free each month is taken off, also what ends after an account's first 12 months: 1 million messages and 750,000 connection minutes of API Gateway."
	}
	return "What is free each month without end is taken off, for an account with nothing else in it; what ends after 12 months is not (--first-year)."
}

func pricesText() string {
	return "Prices are AWS's list prices of " + cost.Date + ", without tax."
}

// inferredText names the prices to look up before relying on them.
func (e costEstimate) inferredText() string {
	if len(e.Inferred) == 0 {
		return ""
	}
	var names []string
	for _, item := range e.Inferred {
		names = append(names, string(item))
	}
	return " Inferred from other regions, or from older lists: " + strings.Join(names, ", ") + "."
}

// trimmed has no more digits than it needs.
func trimmed(v float64) string { return separated(fmt.Sprintf("%.6g", v)) }
