package origin

import "net/netip"

// MayReach is for tests of this package.
func MayReach(o *Origin, at netip.AddrPort) bool { return o.fleet.mayReach(at) }

// Draining reports whether Drain was called. It is for tests of this package.
func Draining(o *Origin) bool { return o.admission.draining.Load() }
