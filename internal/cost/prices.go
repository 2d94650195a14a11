package cost

// Date is the day on which the prices were collected. Look again before you
// rely on them: they are AWS's list prices without tax.
const Date = "2026-11-22"

// Prices is a price list.
type Prices struct {
	Region string
	Edge   string // where the users are, as CloudFront divides the world
	Rates  map[Item]Rate
	Types  map[string]Rate // of EC2 instances, by type
}

const tb = 1024 // GB

// USEast1 is the list of us-east-1, with users in Europe.
func USEast1() Prices {
	p := Prices{Region: "us-east-1", Rates: map[Item]Rate{
		Disks:             {Unit: "GB", Bands: flat(0.08), Source: "aws.amazon.com/ebs/pricing"},
		Addresses:         {Unit: "hours", Bands: flat(0.005), Source: "aws.amazon.com/vpc/pricing"},
		Balancer:          {Unit: "hours", Bands: flat(0.0225), Source: "aws.amazon.com/elasticloadbalancing/pricing"},
		BalancerUnits:     {Unit: "NLCU-hours", Bands: flat(0.006), Source: "aws.amazon.com/elasticloadbalancing/pricing"},
		Secrets:           {Unit: "secrets", Bands: flat(0.40), Source: "aws.amazon.com/secrets-manager/pricing"},
		Alarms:            {Unit: "alarms", Bands: flat(0.10), Free: 10, Source: "aws.amazon.com/cloudwatch/pricing"},
		Logs:              {Unit: "GB", Bands: flat(0.50), Free: 5, Source: "aws.amazon.com/cloudwatch/pricing"},
		Storage:           {Unit: "GB", Bands: flat(0.023), Source: "aws.amazon.com/s3/pricing"},
		EdgeFunctions:     {Unit: "million", Bands: flat(0.10), Free: 2, Source: "aws.amazon.com/cloudfront/pricing"},
		ZoneData:          {Unit: "GB", Bands: flat(0.02), Source: "aws.amazon.com/ec2/pricing/on-demand"}, // 0.01 at each end
		DataOut:           {Unit: "GB", Bands: bands(10*tb, 0.09, 50*tb, 0.085, 150*tb, 0.07, 0.05), Free: 100, Source: "aws.amazon.com/ec2/pricing/on-demand"},
		Messages:          {Unit: "million", Bands: bands(1000, 1.00, 0.80), Free: 1, Ends: true, Source: "aws.amazon.com/api-gateway/pricing"},
		ConnectionMinutes: {Unit: "million min", Bands: flat(0.25), Free: 0.75, Ends: true, Source: "aws.amazon.com/api-gateway/pricing"},
		Requests:          {Unit: "million", Bands: flat(0.20), Free: 1, Source: "aws.amazon.com/lambda/pricing"},
		Duration:          {Unit: "GB-s", Bands: flat(0.0000133334), Free: 400_000, Source: "aws.amazon.com/lambda/pricing"},
	}, Types: instanceTypes()}
	return p.withEdge("europe")
}

func instanceTypes() map[string]Rate {
	rates := map[string]Rate{}
	for name, hour := range map[string]float64{
		"t4g.nano": 0.0042, "t4g.micro": 0.0084, "t4g.small": 0.0168, "t4g.medium": 0.0336,
		"c7g.large": 0.0725, "c7g.xlarge": 0.145,
	} {
		rates[name] = Rate{Unit: "hours", Bands: flat(hour), Source: "aws.amazon.com/ec2/pricing/on-demand"}
	}
	return rates
}

// Bill is what a month's use costs, in order of items.
func (p Prices) Bill(u Use, free Free) []Line {
	var lines []Line
	for _, item := range Items {
		if units, used := u[item]; used {
			r := p.Rates[item]
			lines = append(lines, Line{item, units, r.Unit, r.Cost(units, free)})
		}
	}
	return lines
}
