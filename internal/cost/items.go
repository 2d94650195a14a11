package cost

// Item is a line of the bill.
type Item string

// The items, in the order in which a bill lists them.
const (
	Instances         Item = "EC2 instances" // their rate is their type's
	Disks             Item = "EBS gp3 disks"
	Addresses         Item = "Public IPv4 addresses"
	Balancer          Item = "Network load balancer"
	BalancerUnits     Item = "Load balancer units (NLCU)"
	Secrets           Item = "Secrets Manager secrets"
	Alarms            Item = "CloudWatch alarms"
	Logs              Item = "CloudWatch logs"
	Storage           Item = "S3, for packages and layers"
	EdgeOut           Item = "CloudFront to users"
	EdgeToOrigin      Item = "CloudFront to the origin"
	EdgeRequests      Item = "CloudFront requests"
	EdgeFunctions     Item = "CloudFront Functions"
	ZoneData          Item = "Data between zones"
	DataOut           Item = "Data out of the region" // of EC2 and API Gateway: AWS adds them up
	Messages          Item = "API Gateway messages"
	ConnectionMinutes Item = "API Gateway connections"
	Requests          Item = "Lambda requests"
	Duration          Item = "Lambda duration"
)

// Items is all of them, in order.
var Items = []Item{
	Instances, Disks, Addresses, Balancer, BalancerUnits, Secrets, Alarms, Logs, Storage,
	EdgeOut, EdgeToOrigin, EdgeRequests, EdgeFunctions, ZoneData, DataOut,
	Messages, ConnectionMinutes, Requests, Duration,
}

// Use is a month's use of each item, in the unit of its rate.
type Use map[Item]float64

// Add adds v to u.
func (u Use) Add(v Use) {
	for item, units := range v {
		u[item] += units
	}
}

// Line is one line of a bill.
type Line struct {
	Item    Item    `json:"item"`
	Units   float64 `json:"units"`
	Unit    string  `json:"unit"`
	Dollars float64 `json:"dollars"`
}

// Total is what all lines cost together.
func Total(lines []Line) (dollars float64) {
	for _, l := range lines {
		dollars += l.Dollars
	}
	return dollars
}
