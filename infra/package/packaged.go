// Package packaged holds the files by which systems start the client with the machine: packages bring them, and
// "culvert service install" writes them.
package packaged

import _ "embed" // the files

// Program is where packages have the client, and what the files call it.
const Program = "/usr/bin/culvert"

// The files of each system.
var (
	//go:embed systemd/culvert.service
	Systemd string
	//go:embed openrc/culvert
	OpenRC string
	//go:embed openwrt/culvert.init
	OpenWrt string
)
