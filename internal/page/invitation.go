package page

import (
	"errors"
	"path/filepath"
	"strings"

	"culvert/internal/lang"
	"culvert/internal/term"
)

// Invitation is what somebody is handed with a link: what it is, and what to do on each kind of device. It holds the link,
// and whoever writes it to a file makes that its owner's alone.
type Invitation struct {
	Lang     lang.Language
	Link     string // as it is typed or pasted
	Code     string // what its QR code says
	Download string // where the program is to be had; empty: from whoever hands the link out
}

// errKind is for names of files that are neither a page nor a text.
var errKind = errors.New("an invitation is a page or a text: let its name end in .html or .txt")

// IsInvitation returns an error unless name is one for an invitation.
func IsInvitation(name string) error {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".html", ".txt":
		return nil
	}
	return errKind
}

// File is the invitation as a page, or as a text where the name ends in .txt.
func (i Invitation) File(name string) []byte {
	if strings.ToLower(filepath.Ext(name)) == ".txt" {
		return []byte(i.text())
	}
	return []byte(i.html())
}

// device is a kind of device, what to do there, and what to type.
type device struct{ name, todo, commands string }

// devices are those that people have, the easiest first. Names are the makers' and stay as they are.
var devices = []device{
	{"Windows", "Open the folder with culvert.exe, click into its address bar, type cmd and press Enter. Then type the command, and paste the link when you are asked for it.",
		"culvert connect --lan"},
	{"macOS", "Open Terminal in the folder with the program and type the commands. Paste the link when you are asked for it.",
		"xattr -d com.apple.quarantine culvert\nchmod +x culvert\n./culvert connect --lan"},
	{"Linux", "Open a terminal in the folder with the program and type the commands. Paste the link when you are asked for it.",
		"chmod +x culvert\n./culvert connect --lan"},
	{"Android", "Easiest is a computer or a router at home that runs Culvert. On the phone itself, install Termux from F-Droid, put the program into it, type the commands, and have Termux hold a wake lock.",
		"chmod +x culvert\n./culvert connect"},
	{"iPhone, iPad", "They run no such program for other apps. Have a computer or a router at home run Culvert with --lan, join the same Wi-Fi, and scan the code that it shows.",
		""},
	{"OpenWrt", "On a router, put the program and a file with the link there and type the commands. Every phone at home can use it then.",
		"chmod 600 link\n./culvert connect --link-file link --lan"},
}

// asking is what to type where it does not work.
var asking = []device{{name: "Windows", commands: "culvert doctor"}, {name: "macOS, Linux, Android, OpenWrt", commands: "./culvert doctor"}}

// sections are the texts of an invitation in their order, for both kinds of file.
func (i Invitation) write(to writer) {
	to.Add("p", "Somebody who trusts you gives you this way to WhatsApp where it is blocked. It was made for you alone.")
	to.Add("p.note", "This link is a secret: whoever has it is you. Show it to nobody, post it nowhere, and delete this file when all is set up.")
	to.Add("h2", "Your link")
	to.Command(i.Link)
	to.QR(i.Code)
	to.Add("h2", "What to do")
	if i.Download == "" {
		to.Add("p", "Get the program Culvert from whoever sent you this.")
	} else {
		to.Add("p", "Get the program Culvert here:")
		to.Command(i.Download)
	}
	to.Add("p", "Find your device and do what stands there. Culvert then shows a code for each phone.")
	for _, d := range devices {
		to.Add("h3", d.name)
		to.Add("p", d.todo)
		if d.commands != "" {
			to.Command(d.commands)
		}
	}
	to.Add("h2", "In WhatsApp")
	to.Add("p", "Scan the code that Culvert shows with the phone's camera, or enter host and ports under Settings, Storage and data, Proxy. TLS stays off.")
	to.Add("p", "Messages, pictures, voice notes and files go through it; calls do not.")
	to.Add("h2", LeavingHome)
	to.Add("p", LeavingHomeTodo)
	to.Add("h2", "If it does not work")
	to.Add("p", "Type this and paste the link: it says where the way ends and what to try. If nothing helps, ask whoever sent you this for a new link.")
	for _, d := range asking {
		to.Add("h3", d.name)
		to.Command(d.commands)
	}
}

// LeavingHome and LeavingHomeTodo are for whoever takes a phone out of the network of its client.
const (
	LeavingHome     = "When you leave home"
	LeavingHomeTodo = "The setting works in this network alone: elsewhere WhatsApp does not connect with it. Before you go, open Settings, Storage and data, Proxy in WhatsApp and switch the proxy off. Switch it on again when you are back."
)

const invitationTitle = "Your way to WhatsApp"

// writer is what an invitation is written to: a page, or a text.
type writer interface {
	Add(element, message string, args ...any)
	Command(text string)
	QR(code string)
}

func (i Invitation) html() string {
	d := New(i.Lang)
	i.write(d)
	return d.HTML(invitationTitle, 0)
}

// text ends its lines as Windows' oldest Notepad wants it, which all others take.
func (i Invitation) text() string {
	t := &plain{lang: i.Lang}
	t.b.WriteString("\uFEFF") // or old programs of Windows take it for another encoding
	t.Add("h1", invitationTitle)
	i.write(t)
	return strings.ReplaceAll(t.b.String(), "\n", "\r\n")
}

// plain is a text without any marks but empty lines.
type plain struct {
	lang lang.Language
	b    strings.Builder
}

func (t *plain) Add(element, message string, args ...any) {
	text := t.lang.Text(message, args...)
	if strings.HasPrefix(element, "h") {
		t.b.WriteString("\n" + text + "\n")
		return
	}
	for _, line := range term.Wrap(text, term.TextWidth) {
		t.b.WriteString(line + "\n")
	}
}

func (t *plain) Command(text string) {
	for line := range strings.Lines(text) {
		t.b.WriteString("    " + strings.TrimSuffix(line, "\n") + "\n")
	}
}

// QR draws nothing: letters of a text are not as wide as a code needs them.
func (t *plain) QR(string) {}
