// Package startup has the system start a client with the machine: systemd, OpenRC, OpenWrt's procd, launchd or Windows'
// service manager, whichever there is. A well-kept library does that, kardianos/service; it links text/template, by
// which the client would be a fifth larger.
package startup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	packaged "culvert/infra/package"
	"culvert/internal/secret"
)

// Errors that a caller may tell from others.
var (
	// ErrSystem means that this system starts programs in none of the ways that are known here.
	ErrSystem = errors.New("how this system starts programs is not known here: have it run culvert connect --link-file FILE when it starts")
	// ErrMissing means that nothing is installed.
	ErrMissing = errors.New("the service is not installed: culvert service install does that")
	errRuns    = errors.New("the service has not ended")
)

// Client is what the system is to start.
type Client struct {
	Link    string   // one line; empty: the one that is installed already
	Options []string // flags of culvert connect beside --link-file and --state, each of Plain characters
}

// Plain says whether every file and program that an option passes through hands it on as it is: no shell, no systemd and
// no registry finds a meaning in it.
func Plain(option string) bool {
	return !strings.ContainsFunc(option, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._:/@+=,[]-", r)
	})
}

// System is the one that this program runs on. Its methods are for one goroutine.
type System struct {
	way
	root  string // before every path; empty but in tests
	self  string // the program that runs
	admin bool
	run   func(ctx context.Context, command ...string) (said string, err error)
}

// This finds out how the system starts programs.
func This() (*System, error) {
	self, err := os.Executable()
	if err == nil {
		self, err = filepath.EvalSymlinks(self)
	}
	if err != nil {
		return nil, err
	}
	s := &System{self: self, admin: isAdmin(), run: runCommand}
	return s, s.find(runtime.GOOS)
}

// find chooses the way of the system.
func (s *System) find(goos string) error {
	for _, w := range ways() {
		if w.goos == goos && (w.sign == "" || s.exists(w.sign)) {
			s.way = w
			return nil
		}
	}
	return ErrSystem
}

// Log is the command that shows what the client said.
func (s *System) Log() string { return s.log }

// Program is where the client is that the system starts.
func (s *System) Program() string {
	for _, folder := range s.settled {
		if strings.HasPrefix(s.self, folder) && Plain(s.self) {
			return s.self
		}
	}
	return s.program
}

// rootsPorts is where Linux says which ports are left to root: those below a number, by default 1024.
const rootsPorts = "/proc/sys/net/ipv4/ip_unprivileged_port_start"

// FirstPort is the lowest port that the client may listen at, as it never runs as root. Linux alone keeps some back.
func (s *System) FirstPort() int {
	if s.goos != "linux" {
		return 0
	}
	said, _, err := s.read(rootsPorts)
	if first, wrong := strconv.Atoi(strings.TrimSpace(said)); err == nil && wrong == nil {
		return first
	}
	return 1024
}

// State is the directory in which the client keeps what it learns, and can be asked.
func (s *System) State() string { return s.path(s.state) }

// Install has the system start the client, now and with the machine. It may be called again, with other options, or by
// another program, which takes the place of the one before.
func (s *System) Install(ctx context.Context, c Client) error {
	if err := s.mayInstall(ctx, c); err != nil {
		return err
	}
	first := !s.Installed(ctx)
	if err := s.settle(ctx); err != nil {
		return fmt.Errorf("copy the program: %w", err)
	}
	if err := s.prepareFolder(ctx, first); err != nil {
		return err
	}
	for _, f := range s.files(s.Program(), c) {
		if f.unit && s.isPackaged() {
			continue
		}
		if err := s.write(f); err != nil {
			return fmt.Errorf("write %s: %w", f.name, err)
		}
	}
	if len(s.replace) > 0 { // there may be none yet, so what its end says counts for nothing
		s.each(ctx, s.replace)
		s.within(ctx, s.hasEnded)
	}
	err := s.all(ctx, s.install(s.Program(), c.Options, first))
	if err != nil && strings.Contains(err.Error(), isDeleted) {
		return errDeleted
	}
	return err
}

// isDeleted is the number of Windows' error that a service is deleted as soon as nobody looks at it.
const isDeleted = " 1072:"

var errDeleted = errors.New("the system has not removed the service before yet: close its window of services (services.msc), and do this again")

func (s *System) mayInstall(ctx context.Context, c Client) error {
	switch {
	case !s.admin:
		return errRights
	case s.packaged != "" && s.packaged == s.unit() && s.exists(s.packaged) && !s.isOurs(s.packaged) && s.self != packaged.Program:
		return fmt.Errorf("a package has brought %s: use its program, /usr/bin/culvert service install, or remove the package", s.packaged)
	case c.Link == "" && !(s.Installed(ctx) && s.exists(s.link)):
		return errors.New("the link is missing: name its file with --link-file")
	}
	return nil
}

// prepareFolder makes the folder of the link. Where anybody could have made it before the first installation, with a link
// in it or a door left open, nothing of that stays. At later ones it is ours, and keeps what it holds with its owners.
func (s *System) prepareFolder(ctx context.Context, first bool) error {
	if err := s.leadsElsewhere(); s.planted && err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if s.planted && first {
		return s.makeAfresh(ctx)
	}
	if err := s.makeFolders(); err != nil {
		return err
	}
	return s.all(ctx, s.prepare)
}

// makeAfresh makes the folder where there was none of ours. Whoever makes folders there may put another in its place, or
// write into it, until its rights are set.
func (s *System) makeAfresh(ctx context.Context) error {
	if err := s.makeAlone(); err != nil {
		return err
	}
	for _, c := range slices.Concat(s.adopt, s.prepare) {
		if err := s.leadsElsewhere(); err != nil {
			return err
		}
		if err := s.all(ctx, [][]string{c}); err != nil {
			return err
		}
	}
	if err := s.leadsElsewhere(); err != nil {
		return err
	}
	return s.empty(s.folder)
}

// makeAlone makes the folder, and fails where somebody else does at the same time.
func (s *System) makeAlone() error {
	name := s.path(s.folder)
	if err := errors.Join(os.RemoveAll(name), os.MkdirAll(filepath.Dir(name), 0o755)); err != nil {
		return err
	}
	return os.Mkdir(name, s.folderMode)
}

// leadsElsewhere is an error if something else has the folder's name: a link, which may be to anybody's files.
func (s *System) leadsElsewhere() error {
	info, err := os.Lstat(s.path(s.folder))
	if err == nil && info.Mode().Type() != fs.ModeDir {
		return fmt.Errorf("%s is no folder, but leads elsewhere: remove it, and do this again", s.folder)
	}
	return err
}

// empty removes all that is in a folder.
func (s *System) empty(folder string) error {
	all, err := os.ReadDir(s.path(folder))
	for _, e := range all {
		err = errors.Join(err, os.RemoveAll(filepath.Join(s.path(folder), e.Name())))
	}
	return err
}

// Start starts the client, and does nothing if it runs.
func (s *System) Start(ctx context.Context) error {
	if err := s.mayManage(ctx); err != nil || s.Running(ctx) {
		return err
	}
	if err := s.each(ctx, s.start); err != nil && !s.within(ctx, s.Running) {
		return err
	}
	return nil
}

// Stop ends the client until the machine or Start starts it again. It returns when the client has ended, also if it had
// before.
func (s *System) Stop(ctx context.Context) error {
	if err := s.mayManage(ctx); err != nil {
		return err
	}
	err := s.each(ctx, s.stop)
	if s.within(ctx, s.hasEnded) {
		return nil
	}
	return errors.Join(errRuns, err)
}

func (s *System) mayManage(ctx context.Context) error {
	switch {
	case !s.admin:
		return errRights
	case !s.Installed(ctx):
		return ErrMissing
	}
	return nil
}

// Installed says whether Install was called and Uninstall was not.
func (s *System) Installed(ctx context.Context) bool {
	if s.mark == "" {
		return !s.isGone(ctx)
	}
	return s.exists(s.mark)
}

// Running says whether the system runs the client.
func (s *System) Running(ctx context.Context) bool {
	said, err := s.run(ctx, s.running...)
	return err == nil && strings.Contains(said, s.says)
}

// isGone says whether the system runs the client no more and, where it keeps a list of services, has none by that name.
func (s *System) isGone(ctx context.Context) bool {
	_, err := s.run(ctx, s.running...)
	return err != nil
}

// hasEnded says whether the client has ended, and is not about to be started again.
func (s *System) hasEnded(ctx context.Context) bool {
	said, err := s.run(ctx, s.running...)
	return err != nil || s.saysEnded != "" && strings.Contains(said, s.saysEnded)
}

// endPatience is how long a client may take to end after its system was told to end it: launchd kills what does not.
const endPatience = 10 * time.Second

// within waits until something is so, and says whether it is.
func (s *System) within(ctx context.Context, is func(context.Context) bool) bool {
	ctx, cancel := context.WithTimeout(ctx, endPatience)
	defer cancel()
	for !is(ctx) {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(200 * time.Millisecond):
		}
	}
	return true
}

// Uninstall ends the client and removes what Install wrote, with the link and with what the client has learned. The
// program stays. Nothing is removed while the client runs.
func (s *System) Uninstall(ctx context.Context) error {
	if err := s.mayManage(ctx); err != nil {
		return err
	}
	err := s.each(ctx, s.uninstall) // what has ended already cannot be ended
	if !s.within(ctx, s.isGone) && (err != nil || !s.within(ctx, s.hasEnded)) {
		return errors.Join(errRuns, err)
	}
	var failed []error
	for _, f := range s.files(s.Program(), Client{}) {
		if !f.unit || s.isOurs(f.name) {
			failed = append(failed, s.takeBack(f))
		}
	}
	for _, name := range append(s.leaves, s.state) {
		failed = append(failed, s.remove(os.RemoveAll, name))
	}
	os.Remove(s.path(s.folder)) // stays if somebody else has files there
	failed = append(failed, s.each(ctx, s.forget))
	return errors.Join(failed...)
}

func (s *System) remove(by func(string) error, name string) error {
	if err := by(s.path(name)); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// isPackaged says whether a package has brought the client, and the file by which the system starts it.
func (s *System) isPackaged() bool {
	return s.packaged != "" && s.self == packaged.Program && s.exists(s.packaged) && !s.isOurs(s.packaged)
}

// isOurs says whether Install wrote a file by which a system starts the client.
func (s *System) isOurs(name string) bool {
	b, err := os.ReadFile(s.path(name))
	return err == nil && strings.Contains(string(b), ours)
}

// unit is the file by which the system starts the client.
func (s *System) unit() string {
	for _, f := range s.files(s.Program(), Client{}) {
		if f.unit {
			return f.name
		}
	}
	return ""
}

// settle copies the program to where it stays, and where the service may read it, if it lies elsewhere: in a folder of
// downloads, on a stick.
func (s *System) settle(ctx context.Context) error {
	to := s.Program()
	if to == s.self {
		return nil
	}
	b, err := os.ReadFile(s.self)
	if err != nil {
		return err
	}
	if len(s.release) > 0 {
		s.each(ctx, s.release) // Windows replaces no program that runs
	}
	if err := os.MkdirAll(filepath.Dir(s.path(to)), 0o755); err != nil {
		return err
	}
	return secret.Write(s.path(to), b, 0o755)
}

func (s *System) makeFolders() error {
	if err := os.MkdirAll(s.path(s.folder), s.folderMode); err != nil {
		return err
	}
	return os.Chmod(s.path(s.folder), s.folderMode) // whatever root's umask
}

func (s *System) path(name string) string {
	return filepath.Join(s.root, strings.ReplaceAll(name, `\`, string(filepath.Separator)))
}

// exists says whether there is such a file. One that this user may not see is there.
func (s *System) exists(name string) bool {
	_, err := os.Stat(s.path(name))
	return err == nil || errors.Is(err, os.ErrPermission)
}

// all runs commands until one fails.
func (s *System) all(ctx context.Context, commands [][]string) error {
	for _, c := range commands {
		if said, err := s.run(ctx, c...); err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(c, " "), err, said)
		}
	}
	return nil
}

// each runs all commands, whatever those before said.
func (s *System) each(ctx context.Context, commands [][]string) error {
	var failed []error
	for _, c := range commands {
		failed = append(failed, s.all(ctx, [][]string{c}))
	}
	return errors.Join(failed...)
}

// commandPatience bounds each command: a service manager answers within seconds.
const commandPatience = time.Minute

func runCommand(ctx context.Context, command ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandPatience)
	defer cancel()
	out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}
