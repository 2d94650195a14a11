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
	mark       string // a file that is there while the service is installed
	packaged   string // a package's file that makes ours needless; empty: none
	state      string // what the client keeps
	leaves     []string
	files      func(program string, c Client) []file
	install    func(program string, options []string) [][]string
	log        string // shows what the client says

	prepare, replace, release, start, stop, uninstall, forget [][]string

	running []string // succeeds while the client runs, and then says
	says    string
}

// file is one that Install writes, if it has a text, and Uninstall removes.
type file struct {
	name, text string
	mode       fs.FileMode
	unit       bool // packages bring one, too
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

// calls replaces the program's place in a file of the packages'.
func calls(text, program string) string {
	return strings.ReplaceAll(text, packaged.Program, program)
}

// said are options as they stand in a file of settings that a shell reads, or systemd.
func said(options []string) string {
	return "CULVERT_OPTIONS=\"" + strings.Join(options, " ") + "\"\n"
}

func systemd() way {
	w := onUnix("linux", "/run/systemd/system")
	w.packaged = "/usr/lib/systemd/system/culvert.service"
	w.leaves = []string{"/var/lib/private/culvert-client"}
	w.files = func(program string, c Client) []file {
		return []file{
			{"/etc/systemd/system/culvert.service", calls(packaged.Systemd, program), 0o644, true},
			{"/etc/default/culvert", said(c.Options), 0o644, false},
			linkFile(unixLink, c),
		}
	}
	w.install = func(string, []string) [][]string {
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
	w.packaged = "/etc/init.d/culvert"
	w.files = func(program string, c Client) []file {
		return []file{
			{"/etc/init.d/culvert", calls(packaged.OpenRC, program), 0o755, true},
			{"/etc/conf.d/culvert", said(c.Options), 0o644, false},
			linkFile(unixLink, c),
		}
	}
	w.install = func(string, []string) [][]string {
		return [][]string{{"rc-update", "add", "culvert", "default"}, {"rc-service", "culvert", "restart"}}
	}
	w.start, w.stop = [][]string{{"rc-service", "culvert", "start"}}, [][]string{{"rc-service", "culvert", "stop"}}
	w.uninstall = [][]string{{"rc-service", "culvert", "stop"}, {"rc-update", "delete", "culvert", "default"}}
	w.running, w.log = []string{"rc-service", "culvert", "status"}, "tail /var/log/messages"
	return w
}

// procd is OpenWrt's. A router's /tmp is memory, and all else stays, wherever it lies.
func procd() way {
	const script = "/etc/init.d/culvert"
	w := onUnix("linux", "/sbin/procd")
	w.packaged, w.state = script, "/tmp/culvert"
	w.settled = append(w.settled, "/root/", "/mnt/", "/overlay/")
	w.files = func(program string, c Client) []file {
		return []file{
			{script, calls(packaged.OpenWrt, program), 0o755, true},
			{"/etc/config/culvert", "config culvert main\n\toption link '" + unixLink + "'\n\toption lan '0'\n\toption options '" + strings.Join(c.Options, " ") + "'\n", 0o600, false},
			linkFile(unixLink, c),
		}
	}
	w.install = func(string, []string) [][]string { return [][]string{{script, "enable"}, {script, "restart"}} }
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
	w.folder, w.folderMode, w.link, w.mark, w.state = folder, 0o700, folder+"/link", list, folder+"/state"
	w.leaves = []string{log}
	w.files = func(program string, c Client) []file {
		args := append([]string{program, "connect", "--link-file", folder + "/link", "--state", folder + "/state"}, c.Options...)
		return []file{{list, propertyList(name, log, args), 0o644, false}, linkFile(folder+"/link", c)}
	}
	w.replace = [][]string{{"launchctl", "bootout", "system/" + name}}
	w.install = func(string, []string) [][]string {
		return [][]string{
			{"chown", "-R", "daemon", folder}, {"touch", log}, {"chown", "daemon", log}, {"chmod", "600", log},
			{"launchctl", "bootstrap", "system", list},
		}
	}
	w.start, w.stop = [][]string{{"launchctl", "bootstrap", "system", list}}, w.replace
	w.uninstall = w.replace
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
		folder: folder, folderMode: 0o700, link: folder + `\link`, mark: folder + `\link`, state: state,
	}
	w.prepare = [][]string{{"icacls", folder, "/inheritance:r", "/grant:r", "*S-1-5-18:(OI)(CI)F", "*S-1-5-32-544:(OI)(CI)F", "*S-1-5-19:(OI)(CI)M"}}
	w.files = func(_ string, c Client) []file { return []file{linkFile(folder+`\link`, c)} }
	w.release = [][]string{{"net", "stop", Name}}
	w.replace = [][]string{{"net", "stop", Name}, {"sc.exe", "delete", Name}}
	w.install = func(program string, options []string) [][]string {
		line := `"` + program + `" connect --link-file "` + folder + `\link" --state "` + state + `" ` + strings.Join(options, " ")
		return [][]string{
			{"reg", "add", events, "/v", "EventMessageFile", "/t", "REG_EXPAND_SZ", "/d", `%SystemRoot%\System32\EventCreate.exe`, "/f"},
			{"reg", "add", events, "/v", "TypesSupported", "/t", "REG_DWORD", "/d", "7", "/f"},
			{"sc.exe", "create", Name, "binPath=", strings.TrimSpace(line), "start=", "delayed-auto", "obj=", `NT AUTHORITY\LocalService`},
			{"sc.exe", "failure", Name, "reset=", "0", "actions=", "restart/5000"},
			{"sc.exe", "start", Name},
		}
	}
	w.start, w.stop = [][]string{{"sc.exe", "start", Name}}, [][]string{{"net", "stop", Name}}
	w.uninstall = w.replace
	w.forget = [][]string{{"reg", "delete", events, "/f"}}
	w.running, w.says = []string{"sc.exe", "query", Name}, "RUNNING"
	w.log = `wevtutil qe Application /c:20 /rd:true /f:text /q:"*[System[Provider[@Name='` + Name + `']]]"`
	return w
}

// Name is the service's on Windows.
const Name = "Culvert"
