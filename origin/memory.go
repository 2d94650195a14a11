package origin

import "culvert/internal/wire"

// What others can make an origin keep follows from two figures: how many tunnels
// and carriers there may be, and Config.Windows. On a machine of the cloud these
// are bounded by a share of two fifths of the memory, which GOMEMLIMIT names; the
// machines below have 512 MiB and 2 GiB, less what the kernel takes for itself.
// Windows is a third of the share: 68 and 273 MiB.
//
//	what                            bound         of      512 MiB   2 GiB
//	tunnels, each with a carrier    share/24 KiB  all        8738   34952
//	  of 10 KiB when idle                         all      85 MiB 341 MiB
//	bytes in tunnels                Windows/2     all      34 MiB 136 MiB
//	                                a quarter     user    8.5 MiB  34 MiB
//	  what a window may reach       a sixteenth   tunnel  2.1 MiB 8.5 MiB
//	  in any case, for chat         4 KiB         tunnel
//	texts waiting for API Gateway   Windows/4     all      17 MiB  68 MiB
//	                                a quarter     user    4.3 MiB  17 MiB
//	bodies of functions             Windows/4     all      17 MiB  68 MiB
//	handshakes under way            4096, 8 KiB   all      32 MiB  32 MiB
//	handshakes remembered           262,144       all       5 MiB   5 MiB
//	secrets to resume from          16,384        all       5 MiB   5 MiB
//
// Not bounded by Windows: the buffers, 64 KiB each, of carriers and passages that are
// in the middle of a write which nobody takes, of which a user may have 1,000.
//
// 3,000 tunnels that sent 420 kB each with the first byte missing made an origin with
// the settings of the smaller machine grow to 87 MB; each kept all before, 1.3 GB.

// keptPart, waitingPart and readingPart are what of Windows may be taken at once
// by bytes in tunnels, by texts and by bodies. They add up to all of it.
const (
	keptPart    = 2
	waitingPart = 4
	readingPart = 4
)

// What there is on any machine.
const (
	minReading = 16       // bodies at once
	minKept    = 32 << 20 // bytes in tunnels
)

// kept is how many bytes may be in tunnels.
func (c *Config) kept() int64 { return max(minKept, c.Windows/keptPart) }

// readings is how many bodies may be on their way at once. To take one needs as
// much again, but no time.
func (c *Config) readings() int {
	return max(minReading, int(c.Windows/readingPart/wire.MaxHanded))
}
