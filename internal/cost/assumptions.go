package cost

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
		KeepAlive: 6600, // one in 9 minutes, and a new connection every 100 minutes
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
