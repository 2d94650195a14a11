// Package setup brings an origin onto a Linux server with systemd, and keeps it there: program, user, unit, secret,
// certificate and the first link; updates that cut nobody off, backups, and the way back. Everything may be run again
// at any time, and does what is not done yet.
package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"culvert/internal/secret"
	"culvert/internal/serve"
)

// The files that an origin has on a machine.
const (
	folder      = "/etc/culvert"
	secretFile  = folder + "/secret"     // the master secret, for root
	settings    = folder + "/origin.env" // of the service
	certFile    = folder + "/cert.pem"   // that nobody has signed
	keyFile     = folder + "/key.pem"
	revokedFile = folder + "/revoked" // numbers of users
	frontFile   = folder + "/front"   // what links name
	usersFile   = folder + "/users"   // the number of the last link
	runsFile    = folder + "/runs"    // which of these the service was started with
	programs    = "/usr/local/lib/culvert"
	command     = "/usr/local/bin/culvert-origin"
	unitFile    = "/etc/systemd/system/culvert-origin@.service"
	userFile    = "/etc/sysusers.d/culvert.conf"
	state       = "/var/lib/culvert"
)

// firstPort and lastPort are where the instances tell of their health: each has its port's number as its name.
const (
	firstPort = 9090
	lastPort  = 9099
)

// host is the machine. Tests have one of their own, in a folder.
type host struct {
	root   string // before every path
	isRoot bool
	now    func() time.Time
	self   string // the program that runs
	run    func(ctx context.Context, name string, args ...string) (string, error)
	health func(ctx context.Context, port int) error
	open   func(network, address string) (net.Listener, error) // listens
}

// thisHost is the machine that the program runs on.
func thisHost() (*host, error) {
	self, err := os.Executable()
	return &host{isRoot: os.Geteuid() == 0, now: time.Now, self: self, run: runCommand, health: askHealth, open: net.Listen}, err
}

func (h *host) path(name string) string { return filepath.Join(h.root, name) }

func (h *host) exists(name string) bool {
	_, err := os.Lstat(h.path(name))
	return err == nil
}

func (h *host) read(name string) string {
	b, err := os.ReadFile(h.path(name))
	if err != nil {
		return ""
	}
	return string(b)
}

// write makes the named file hold text, whole at any moment.
func (h *host) write(name, text string, mode fs.FileMode) error {
	if err := h.makeFolder(filepath.Dir(name)); err != nil {
		return err
	}
	return secret.Write(h.path(name), []byte(text), mode)
}

// makeFolder makes a folder that the service's user may enter, whatever root's umask. One that is ours is opened, too.
func (h *host) makeFolder(name string) error {
	if !h.exists(name) {
		if err := h.makeFolder(filepath.Dir(name)); err != nil {
			return err
		}
		if err := os.Mkdir(h.path(name), 0o755); err != nil {
			return err
		}
	} else if name != folder && !strings.HasPrefix(name+"/", programs+"/") {
		return nil
	}
	return os.Chmod(h.path(name), 0o755)
}

// commandPatience bounds each command: systemd's start within seconds, and say so.
const commandPatience = time.Minute

// runCommand returns what a command says; an error ends with the last of that.
func runCommand(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandPatience)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	said := strings.TrimSpace(string(out))
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("%s is not installed here", name)
	}
	if err != nil {
		return said, fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, said)
	}
	return said, nil
}

// askHealth asks the instance of a port whether it is well.
func askHealth(ctx context.Context, port int) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return serve.AskHealth(ctx, "127.0.0.1:"+strconv.Itoa(port))
}

// startPatience is how long an instance may take until it is well.
const startPatience = 20 * time.Second

// awaitHealth waits until an instance is well, or says where to read why it is not.
func (h *host) awaitHealth(ctx context.Context, port int) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for h.health(ctx, port) != nil {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the origin is not well after %s; its log says why: journalctl -n 20 -u %s", startPatience, unit(port))
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil
}

func unit(port int) string { return fmt.Sprintf("culvert-origin@%d.service", port) }

func programOf(port int) string { return fmt.Sprintf("%s/%d/culvert-origin", programs, port) }

// current is the port of the instance that is installed, or 0.
func (h *host) current() int {
	target, err := os.Readlink(h.path(command))
	if err != nil {
		return 0
	}
	port, _ := strconv.Atoi(filepath.Base(filepath.Dir(target)))
	return port
}

// point makes the command that people type that of an instance.
func (h *host) point(port int) error {
	if err := h.makeFolder(filepath.Dir(command)); err != nil {
		return err
	}
	next := h.path(command) + ".new"
	os.Remove(next)
	if err := os.Symlink(programOf(port), next); err != nil {
		return err
	}
	return os.Rename(next, h.path(command))
}

// install copies the program that runs to where an instance has its own.
func (h *host) install(port int) error {
	program, err := os.ReadFile(h.self)
	if err != nil {
		return err
	}
	return h.write(programOf(port), string(program), 0o755)
}

// values are settings as systemd's EnvironmentFile has them, NAME=value a line. Lines that it does not know stay.
type values string

func (v values) get(name string) string {
	for line := range strings.Lines(string(v)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
			return value
		}
	}
	return ""
}

// has reports whether a setting stands there with this value, which may be empty.
func (v values) has(name, value string) bool {
	return strings.Contains("\n"+string(v)+"\n", "\n"+name+"="+value+"\n")
}

// set replaces a setting where it stands, or adds it; an empty value removes it.
func (v values) set(name, value string) values {
	var b strings.Builder
	line := ""
	if value != "" {
		line = name + "=" + value + "\n"
	}
	for old := range strings.Lines(string(v)) {
		if strings.HasPrefix(strings.TrimSpace(old), name+"=") {
			old, line = line, ""
		}
		b.WriteString(old)
	}
	return values(b.String() + line)
}
