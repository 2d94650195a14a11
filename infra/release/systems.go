package main

// system is what programs are made for, and how packages call it.
type system struct {
	name   string   // "linux/armv6": what GOOS and a user would call it
	env    []string // of the go command
	server bool     // whether the servers are made for it, too
	deb    string   // Debian's name of the architecture; empty: no package
	rpm    string   // Fedora's
	apk    string   // Alpine's
	ipk    []string // OpenWrt's, one for each processor that these programs run on
}

// systems are all that something is made for. Where a processor may have no floating point, as in routers,
// the programs use none. Debian's armhf is made for ARMv6, as the Raspberry Pi's Debian has older processors
// by that name.
var systems = []system{
	{name: "linux/amd64", env: linux("amd64"), server: true, deb: "amd64", rpm: "x86_64", apk: "x86_64", ipk: []string{"x86_64"}},
	{name: "linux/arm64", env: linux("arm64"), server: true, deb: "arm64", rpm: "aarch64", apk: "aarch64",
		ipk: []string{"aarch64_generic", "aarch64_cortex-a53", "aarch64_cortex-a72", "aarch64_cortex-a76"}},
	{name: "linux/armv7", env: linux("arm", "GOARM=7"), server: true, rpm: "armv7hl", apk: "armv7",
		ipk: []string{"arm_cortex-a5_vfpv4", "arm_cortex-a7_neon-vfpv4", "arm_cortex-a9_vfpv3-d16", "arm_cortex-a15_neon-vfpv4"}},
	{name: "linux/armv6", env: linux("arm", "GOARM=6"), server: true, deb: "armhf", apk: "armhf", ipk: []string{"arm_arm1176jzf-s_vfp"}},
	{name: "linux/armv5", env: linux("arm", "GOARM=5"), deb: "armel", ipk: []string{"arm_cortex-a9", "arm_arm926ej-s", "arm_xscale"}},
	{name: "linux/386", env: linux("386"), server: true, deb: "i386", rpm: "i686", apk: "x86", ipk: []string{"i386_pentium4"}},
	{name: "linux/riscv64", env: linux("riscv64"), server: true, deb: "riscv64", rpm: "riscv64", apk: "riscv64", ipk: []string{"riscv64_generic"}},
	{name: "linux/mips", env: linux("mips", "GOMIPS=softfloat"), ipk: []string{"mips_24kc", "mips_mips32"}},
	{name: "linux/mipsle", env: linux("mipsle", "GOMIPS=softfloat"), ipk: []string{"mipsel_24kc", "mipsel_74kc", "mipsel_mips32"}},
	{name: "darwin/amd64", env: on("darwin", "amd64")},
	{name: "darwin/arm64", env: on("darwin", "arm64")},
	{name: "windows/amd64", env: on("windows", "amd64")},
	{name: "windows/arm64", env: on("windows", "arm64")},
	{name: "freebsd/amd64", env: on("freebsd", "amd64"), server: true},
	{name: "freebsd/arm64", env: on("freebsd", "arm64")},
	{name: "android/arm64", env: on("android", "arm64")},
}

func linux(arch string, more ...string) []string { return append(on("linux", arch), more...) }

func on(os, arch string) []string { return []string{"GOOS=" + os, "GOARCH=" + arch} }
