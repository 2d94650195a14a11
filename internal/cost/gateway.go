package cost

// GatewayUse is what the gateway door was used for in some time, as AWS meters
// it. As JSON it is what the emulator's meter writes.
type GatewayUse struct {
	Messages          uint64  `json:"messages"`          // units of 32 KB or a part, of both directions
	ConnectionMinutes uint64  `json:"connectionMinutes"` // begun minutes
	Invocations       uint64  `json:"invocations"`       // of all functions
	GBSeconds         float64 `json:"gbSeconds"`         // memory × billed duration, on arm64
	BytesOut          uint64  `json:"bytesOut"`          // from API Gateway to clients
}

// Use is u by item.
func (u GatewayUse) Use() Use {
	return Use{
		Messages:          float64(u.Messages) / 1e6,
		ConnectionMinutes: float64(u.ConnectionMinutes) / 1e6,
		Requests:          float64(u.Invocations) / 1e6,
		Duration:          u.GBSeconds,
		DataOut:           float64(u.BytesOut) / GB,
	}
}

// Times is a use n times as long.
func (u GatewayUse) Times(n float64) GatewayUse {
	times := func(v uint64) uint64 { return uint64(float64(v) * n) }
	return GatewayUse{times(u.Messages), times(u.ConnectionMinutes), times(u.Invocations), u.GBSeconds * n, times(u.BytesOut)}
}
