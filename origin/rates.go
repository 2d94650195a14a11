package origin

// The following bound how fast one user may open tunnels and agree anew: a phone opens a
// few tunnels a minute and agrees every five, and a household's client that comes back
// does much at once. To agree costs an origin some 0.3 ms.
const (
	openRate   = 200    // tunnels a second, for long
	openBurst  = 20_000 // at once
	agreeRate  = 20
	agreeBurst = 300
)
