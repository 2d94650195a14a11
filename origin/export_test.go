package origin

import "net/netip"

// MayReach is for tests of this package.
func MayReach(o *Origin, at netip.AddrPort) bool { return o.fleet.mayReach(at) }
