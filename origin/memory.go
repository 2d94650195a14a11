package origin

import "culvert/internal/wire"

// What others can make an origin keep follows from two figures: how many tunnels
// and carriers there may be, and Config.Windows. On a machine of the cloud these
// are bounded by a share of two fifths of the memory, which GOMEMLIMIT names; the
// machines below have 512 MiB and 2 GiB, less what the kernel takes for itself.
//
//	what                              bound          per        512 MiB   2 GiB
//	idle tunnels with their carriers  share/24 KiB   all           8738   34952
//	  of one user                     12,000 tunnels, 1,000 carriers
//	  in memory, at 16 KiB each                      all        137 MiB 546 MiB
//	bytes in tunnels                  Windows/2      all         34 MiB 136 MiB
//	                                  a quarter      user       8.5 MiB  34 MiB
//	                                  a window       tunnel     2.1 MiB 8.5 MiB
//	  beyond that, of chat            4 KiB          tunnel
//	texts waiting for API Gateway     Windows/4      all         17 MiB  68 MiB
//	                                  a quarter      user       4.3 MiB  17 MiB
//	bodies of functions               Windows/4      all         17 MiB  68 MiB
//	handshakes under way              4096, 8 KiB    all         32 MiB  32 MiB
//	handshakes remembered             262,144        all          5 MiB   5 MiB
//	secrets to resume from            16,384         all          5 MiB   5 MiB
//
// Windows is a third of the share: 68 and 273 MiB.

// keptPart, waitingPart and readingPart are what of Windows may be taken at once
// by bytes in tunnels, by texts and by bodies. They add up to all of it.
const (
	keptPart    = 2
	waitingPart = 4
	readingPart = 4
)

// minReading bodies are read at once on any machine.
const minReading = 16

// readings is how many bodies may be on their way at once. To take one needs as
// much again, but no time.
func (c *Config) readings() int {
	return max(minReading, int(c.Windows/readingPart/wire.MaxHanded))
}
