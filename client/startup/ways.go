package startup

import (
	"html"
	"io/fs"
	"os"
	"strings"

	packaged "culvert/infra/package"
)

// way is how a system starts programs with the machine: files, and commands that tell it of them. No link, and nothing
// of one, is in a command.
type way struct {
	goos, sign string // the system that has it, and the file or folder by which it is known
	program    string // where the client goes, unless it is beneath one of settled already
	settled    []string
	folder     string // ours, for the link
	folderMode fs.FileMode
	link       string // the file of the link
	mark       string // a file that is there while the service is installed; empty: the system's list of services says it
	planted    bool   // anybody may have made the folder
	proxy      Place
	packaged   string // a package's file that makes ours needless; empty: none
	state      string // what the client keeps
	leaves     []string
	files      func(program string, c Client) []file
	install    func(program string, options []string, first bool) [][]string // first: none is installed yet
	log        string                                                        // shows what the client says

	adopt, prepare, replace, release, start, stop, uninstall, forget [][]string

	running   []string // succeeds while the client runs, and then says; where there is a list of services, while it is there
	says      string
	saysEnded string // what running says of a client that has ended and is on the list
}

const (
	unixProgram = "/usr/local/bin/culvert"
	unixLink    = "/etc/culvert/link"
)

// ways are all that there are. Where a machine has signs of several the first counts.
func ways() []way {
	return []way{systemd(), procd(), openRC(), launchd(), windows()}
}

// onUnix is what systems with a file for each service have in common.
func onUnix(goos, sign string) way {
	return way{
		goos: goos, sign: sign, program: unixProgram, settled: []string{"/usr/bin/", "/usr/local/", "/opt/"},
		folder: "/etc/culvert", folderMode: 0o755, link: unixLink, mark: unixLink, state: "/var/lib/culvert-client",
	}
}

// linkFile is the link's.
func linkFile(name string, c Client) file {
	if c.Link == "" {
		return file{name: name}
	}
	return file{name: name, text: c.Link + "\n", mode: 0o600}
}

// ours stands in each file of Install's that a package brings, too, and not in the package's.
const ours = "# Written by culvert service install.\n"

// calls replaces the program's place in a file of the packages', and has it say who wrote it, behind a script's first line.
func calls(text, program string) string {
	text = strings.ReplaceAll(text, packaged.Program, program)
	if first, rest, found := strings.Cut(text, "\n"); found && strings.HasPrefix(first, "#!") {
		return first + "\n" + ours + rest
	}
	return ours + text
}

func systemd() way {
	w := onUnix("linux", "/run/systemd/system")
	w.packaged = "/usr/lib/systemd/system/culvert.service"
	w.proxy = Place{"HTTPS_PROXY=URL", "/etc/default/culvert"}
	w.leaves = []string{"/var/lib/private/culvert-client"}
	w.files = func(program string, c Client) []file {
		return []file{
			{"/etc/systemd/system/culvert.service", calls(packaged.Systemd, program), 0o644, true, nil},
			{w.proxy.File, "", 0o600, false, variable(c.Options)},
			linkFile(unixLink, c),
		}
	}
	w.install = func(string, []string, bool) [][]string {
		return [][]string{{"systemctl", "daemon-reload"}, {"systemctl", "enable", "culvert"}, {"systemctl", "restart", "culvert"}}
	}
	w.start, w.stop = [][]string{{"systemctl", "start", "culvert"}}, [][]string{{"systemctl", "stop", "culvert"}}
	w.uninstall = [][]string{{"systemctl", "disable", "--now", "culvert"}}
	w.forget = [][]string{{"systemctl", "daemon-reload"}}
	w.running, w.log = []string{"systemctl", "is-active", "culvert"}, "journalctl -n 20 -u culvert"
	return w
}

func openRC() way {
	w := onUnix("linux", "/sbin/openrc-run")
	w.packaged, w.proxy = "/etc/init.d/culvert", Place{"export HTTPS_PROXY=URL", "/etc/conf.d/culvert"}
	w.files = func(program string, c Client) []file {
		return []file{
			{"/etc/init.d/culvert", calls(packaged.OpenRC, program), 0o755, true, nil},
			{w.proxy.File, "", 0o644, false, variable(c.Options)},
			linkFile(unixLink, c),
		}
	}
	w.install = func(string, []string, bool) [][]string {
		return [][]string{{"rc-update", "add", "culvert", "default"}, {"rc-service", "culvert", "restart"}}
	}
	w.start, w.stop = [][]string{{"rc-service", "culvert", "start"}}, [][]string{{"rc-service", "culvert", "stop"}}
	w.uninstall = [][]string{{"rc-service", "culvert", "stop"}, {"rc-update", "delete", "culvert", "default"}}
	w.running, w.log = []string{"rc-service", "culvert", "status"}, "grep culvert /var/log/messages"
	return w
}

// procd is OpenWrt's. A router's /var is memory, and all else stays, wherever it lies.
func procd() way {
	const script = "/etc/init.d/culvert"
	w := onUnix("linux", "/sbin/procd")
	w.packaged, w.state, w.proxy = script, "/var/run/culvert", Place{"option proxy URL", "/etc/config/culvert"}
	w.settled = append(w.settled, "/root/", "/mnt/", "/overlay/")
	w.files = func(program string, c Client) []file {
		return []file{
			{script, calls(packaged.OpenWrt, program), 0o755, true, nil},
			{w.proxy.File, "", 0o600, false, section(unixLink, c.Options)},
			linkFile(unixLink, c),
		}
	}
	w.install = func(string, []string, bool) [][]string { return [][]string{{script, "enable"}, {script, "restart"}} }
	w.start, w.stop = [][]string{{script, "start"}}, [][]string{{script, "stop"}}
	w.uninstall = [][]string{{script, "stop"}, {script, "disable"}}
	w.running, w.log = []string{script, "running"}, "logread -e culvert"
	return w
}

// launchd is macOS's. The client runs as daemon, who may do next to nothing.
func launchd() way {
	const name, folder = "org.culvert.client", "/Library/Application Support/Culvert"
	const list, log = "/Library/LaunchDaemons/" + name + ".plist", "/Library/Logs/culvert.log"
	w := onUnix("darwin", "")
	w.folder, w.link, w.mark, w.state = folder, folder+"/link", list, folder+"/state"
	w.leaves = []string{log}
	w.files = func(program string, c Client) []file {
		args := append([]string{program, "connect", "--link-file", folder + "/link", "--state", folder + "/state"}, c.Options...)
		return []file{{list, propertyList(name, log, args), 0o644, false, nil}, linkFile(folder+"/link", c)}
	}
	// The folder is root's: in one of its own the client could put another's file in place of its link, which root would
	// make the client's at the next installation.
	w.prepare = [][]string{{"chown", "-h", "root", folder}, {"mkdir", "-p", folder + "/state"}}
	w.replace = [][]string{{"launchctl", "bootout", "system/" + name}}
	w.install = func(string, []string, bool) [][]string {
		return [][]string{
			{"chown", "-h", "daemon", folder + "/link", folder + "/state"}, {"chmod", "700", folder + "/state"},
			{"touch", log}, {"chown", "daemon", log}, {"chmod", "600", log},
			{"launchctl", "bootstrap", "system", list},
		}
	}
	w.start = [][]string{{"launchctl", "bootstrap", "system", list}, {"launchctl", "kickstart", "system/" + name}}
	w.stop, w.uninstall, w.says = w.replace, w.replace, "state = running"
	w.running, w.log = []string{"launchctl", "print", "system/" + name}, "sudo tail "+log
	return w
}

// propertyList is what launchd reads.
func propertyList(name, log string, args []string) string {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>Label</key><string>` + name + `</string>
	<key>UserName</key><string>daemon</string>
	<key>RunAtLoad</key><true/>
	<key>KeepAlive</key><true/>
	<key>Umask</key><integer>63</integer>
	<key>StandardOutPath</key><string>` + log + `</string>
	<key>StandardErrorPath</key><string>` + log + `</string>
	<key>ProgramArguments</key>
	<array>
`)
	for _, a := range args {
		b.WriteString("\t\t<string>" + html.EscapeString(a) + "</string>\n")
	}
	b.WriteString("\t</array>\n</dict>\n</plist>\n")
	return b.String()
}

// windows has the client run as LocalService, who may do next to nothing. Names of users and groups there are in the
// system's language, and numbers are not: S-1-5-18 is the system, 32-544 the administrators, 19 LocalService.
func windows() way {
	folder := os.Getenv("ProgramData") + `\Culvert`
	state, events := folder+`\state`, `HKLM\SYSTEM\CurrentControlSet\Services\EventLog\Application\`+Name
	w := way{
		goos: "windows", program: os.Getenv("ProgramFiles") + `\Culvert\culvert.exe`,
		folder: folder, folderMode: 0o700, link: folder + `\link`, planted: true, state: state,
	}
	w.adopt = [][]string{
		{"icacls", folder, "/setowner", "*S-1-5-32-544", "/T", "/L", "/Q"}, // whoever made a folder may change its rights for ever
		{"icacls", folder, "/reset", "/T", "/L", "/Q"},
	}
	w.prepare = [][]string{
		{"icacls", folder, "/inheritance:r", "/grant:r", "*S-1-5-18:(OI)(CI)F", "*S-1-5-32-544:(OI)(CI)F", "*S-1-5-19:(OI)(CI)M", "/L"},
	}
	w.files = func(_ string, c Client) []file { return []file{linkFile(folder+`\link`, c)} }
	w.release = [][]string{{"net", "stop", Name}}
	w.replace = w.release
	w.install = func(program string, options []string, first bool) [][]string {
		line := `"` + program + `" connect --link-file "` + folder + `\link" --state "` + state + `" ` + strings.Join(options, " ")
		// A service that is deleted stays, and none of its name can be made, while a window of services is open: it is changed.
		list := []string{"sc.exe", "config", Name, "binPath=", strings.TrimSpace(line), "start=", "delayed-auto", "obj=", `NT AUTHORITY\LocalService`}
		if first {
			list[1] = "create"
		}
		return [][]string{
			{"reg", "add", events, "/v", "EventMessageFile", "/t", "REG_EXPAND_SZ", "/d", `%SystemRoot%\System32\EventCreate.exe`, "/f"},
			{"reg", "add", events, "/v", "TypesSupported", "/t", "REG_DWORD", "/d", "7", "/f"},
			list,
			{"sc.exe", "failure", Name, "reset=", "0", "actions=", "restart/5000"},
			{"sc.exe", "failureflag", Name, "1"}, // also after an end that is no crash
			{"sc.exe", "start", Name},
		}
	}
	w.start, w.stop = [][]string{{"sc.exe", "start", Name}}, [][]string{{"net", "stop", Name}}
	w.uninstall = [][]string{{"net", "stop", Name}, {"sc.exe", "delete", Name}}
	w.forget = [][]string{{"reg", "delete", events, "/f"}}
	w.running, w.says, w.saysEnded = []string{"sc.exe", "query", Name}, "RUNNING", "STOPPED"
	w.log = `wevtutil qe Application /c:20 /rd:true /f:text /q:"*[System[Provider[@Name='` + Name + `']]]"`
	return w
}

// Name is the service's on Windows.
const Name = "Culvert"
