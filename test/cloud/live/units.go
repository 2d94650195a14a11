//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// unit is a service of the machine that was started.
type unit struct {
	name  string
	gone  chan struct{} // closed when the process has ended
	drain time.Duration // how long it serves what it holds once it is told to leave

	mu   sync.Mutex // guards the following
	cmd  *exec.Cmd
	told time.Time // to leave; zero: it was not
	said bytes.Buffer
}

func (u *unit) Write(b []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.said.Write(b)
}

// state is one of systemd's.
func (u *unit) state() string {
	if u == nil {
		return "inactive"
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	select {
	case <-u.gone:
		return "inactive"
	default:
	}
	if !u.told.IsZero() {
		return "deactivating"
	}
	return "active"
}

// callSystem is systemctl and journalctl on the machine.
func callSystem(ctx context.Context, name string, args []string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+systemAt+"/"+name+"?"+url.Values{"arg": args}.Encode(), nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(os.Stdout, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		os.Exit(3) // what systemctl says of a unit that does not run
	}
	return nil
}

// systemctl answers what the machine's scripts ask of it.
func (m *machine) systemctl(rw http.ResponseWriter, r *http.Request) {
	var words, options []string
	for _, a := range r.URL.Query()["arg"] {
		if strings.HasPrefix(a, "-") {
			options = append(options, a)
		} else {
			words = append(words, a)
		}
	}
	err := fmt.Errorf("systemctl %v %v is not known here", words, options)
	switch {
	case len(words) == 0:
	case words[0] == "daemon-reload", words[0] == "enable", len(words) == 2 && words[0] == "start" && strings.HasSuffix(words[1], ".timer"):
		err = nil // tend is called in the timer's place
	case words[0] == "list-units":
		err = m.list(rw, options)
	case len(words) == 2 && words[0] == "start":
		err = m.start(words[1])
	case len(words) == 2 && words[0] == "stop":
		err = m.stop(words[1], !slices.Contains(options, "--no-block"))
	case len(words) == 2 && words[0] == "is-active":
		state := m.unit(words[1]).state()
		if state != "active" {
			rw.WriteHeader(http.StatusNotFound)
		}
		if !slices.Contains(options, "--quiet") {
			fmt.Fprintln(rw, state)
		}
		return
	}
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
	}
}

func (m *machine) unit(name string) *unit {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.units[name]
}

// list is of the units in the states of an option --state=a,b.
func (m *machine) list(w io.Writer, options []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range options {
		if states, ok := strings.CutPrefix(o, "--state="); ok {
			for _, name := range slices.Sorted(maps.Keys(m.units)) {
				if state := m.units[name].state(); slices.Contains(strings.Split(states, ","), state) {
					fmt.Fprintln(w, name, "loaded", state, "running Culvert origin")
				}
			}
			return nil
		}
	}
	return errors.New("list-units without --state is not known here")
}

// journalctl prints all that a unit has said.
func (m *machine) journalctl(rw http.ResponseWriter, r *http.Request) {
	for _, a := range r.URL.Query()["arg"] {
		if u := m.unit(a); u != nil {
			u.mu.Lock()
			rw.Write(u.said.Bytes())
			u.mu.Unlock()
		}
	}
}

// shutdown is how long a unit may take to end that is waited for, as TimeoutStopSec has it.
const shutdown = 40 * time.Second

// kill ends a service at once.
func (u *unit) kill() { u.cmd.Process.Kill() }

// left is how long ago the service was told to leave.
func (u *unit) left() time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.told.IsZero() {
		return 0
	}
	return time.Since(u.told).Round(time.Millisecond)
}

// early is by how much a drain may end before its time, as clocks are read one after another.
const early = 200 * time.Millisecond

// cuts notes that a service whose drain is over cuts what it holds, if it has not ended before.
func (m *machine) cuts(u *unit) {
	if u.state() != "inactive" {
		m.broke(time.Now().Add(6 * time.Second))
	}
}

// running are the services that have not ended.
func (m *machine) running() (names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, u := range m.units {
		if u.state() != "inactive" {
			names = append(names, name)
		}
	}
	return names
}

// stop lets a service end, as systemd does.
func (m *machine) stop(name string, wait bool) error {
	u := m.unit(name)
	if u.state() != "active" {
		return nil
	}
	u.mu.Lock()
	u.told = time.Now()
	time.AfterFunc(u.drain-early, func() { m.cuts(u) })
	err := u.cmd.Process.Signal(syscall.SIGTERM)
	u.mu.Unlock()
	if wait && err == nil {
		select {
		case <-u.gone:
		case <-time.After(shutdown):
			err = u.cmd.Process.Kill()
		}
	}
	return err
}

// start runs a service as its unit's file says.
func (m *machine) start(name string) error {
	if m.unit(name).state() == "active" {
		return nil
	}
	s, err := m.read(name)
	if err != nil {
		return err
	}
	who, err := m.user(s.one("User"))
	if err != nil {
		return err
	}
	env, err := s.environment(m.root)
	if err != nil {
		return err
	}
	for _, c := range s.lines["LoadCredential"] {
		if err := m.credentials(name, c, who); err != nil {
			return err
		}
	}
	u := &unit{name: name, gone: make(chan struct{})}
	u.drain = drainOf(env)
	u.cmd = m.command(context.Background(), who, s.one("ExecStart"))
	u.cmd.Env, u.cmd.Stdout, u.cmd.Stderr = env, u, u
	if err := u.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		defer close(u.gone)
		err := u.cmd.Wait()
		fmt.Fprintf(os.Stderr, "live: %s of %s has ended, %v after it was told to: %v\n", name, m.id, u.left(), err)
	}()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.units[name] = u
	return nil
}

// service is a unit's file, with its specifiers filled in.
type service struct {
	lines map[string][]string
}

func (m *machine) read(name string) (service, error) {
	before, instance, _ := strings.Cut(strings.TrimSuffix(name, ".service"), "@")
	text, err := os.ReadFile(filepath.Join(m.root, "etc/systemd/system", before+"@.service"))
	s := service{map[string][]string{}}
	filled := strings.NewReplacer("%i", instance, "%d", credentialsOf(name)).Replace(string(text))
	for line := range strings.Lines(filled) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			s.lines[key] = append(s.lines[key], value)
		}
	}
	return s, err
}

func (s service) one(key string) string { return strings.Join(s.lines[key], " ") }

// environment is what the service finds in its own, and nothing else.
func (s service) environment(root string) ([]string, error) {
	env := append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LANG=C.UTF-8"}, s.lines["Environment"]...)
	b, err := os.ReadFile(filepath.Join(root, s.one("EnvironmentFile")))
	return append(env, strings.Fields(string(b))...), err
}

// drainOf is how long a release serves what it holds.
func drainOf(env []string) time.Duration {
	for _, e := range env {
		if text, ok := strings.CutPrefix(e, "CULVERT_DRAIN="); ok {
			d, _ := time.ParseDuration(text)
			return d
		}
	}
	return 0
}

func credentialsOf(unit string) string { return "/run/credentials/" + unit }

// credentials copies a folder's files, whose names NAME_ begins, for the service alone.
func (m *machine) credentials(unit, setting string, who *syscall.Credential) error {
	name, from, _ := strings.Cut(setting, ":")
	to := filepath.Join(m.root, credentialsOf(unit))
	if err := errors.Join(os.RemoveAll(to), os.MkdirAll(filepath.Dir(to), 0o755), os.Mkdir(to, 0o700), os.Chown(to, int(who.Uid), int(who.Gid))); err != nil {
		return err
	}
	// The folder is a link to one of the machine's root, not of ours.
	at, err := os.Readlink(filepath.Join(m.root, from))
	if err != nil {
		return err
	}
	files, err := os.ReadDir(filepath.Join(m.root, at))
	if err != nil {
		return err
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(m.root, at, f.Name()))
		file := filepath.Join(to, name+"_"+f.Name())
		if err := errors.Join(err, os.WriteFile(file, b, 0o400), os.Chown(file, int(who.Uid), int(who.Gid))); err != nil {
			return err
		}
	}
	return nil
}

// user looks a name up in the machine's own list.
func (m *machine) user(name string) (*syscall.Credential, error) {
	text, err := os.ReadFile(filepath.Join(m.root, "etc/passwd"))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(line, ":")
		if f[0] != name {
			continue
		}
		uid, err := strconv.ParseUint(f[2], 10, 32)
		gid, err2 := strconv.ParseUint(f[3], 10, 32)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(err, err2)
	}
	return nil, user.UnknownUserError(name)
}
