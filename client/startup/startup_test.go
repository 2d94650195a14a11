package startup

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// machine is a system of its own in a folder, which writes down the commands that it is told.
func machine(t *testing.T, w way) (s *System, told *[]string) {
	t.Helper()
	s, m := managed(t, w)
	return s, &m.told
}

// managed is a system of its own in a folder, and what starts programs there.
func managed(t *testing.T, w way) (*System, *manager) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("files of other systems have no place in a folder there")
	}
	s := &System{way: w, root: t.TempDir(), self: filepath.Join(t.TempDir(), "culvert"), admin: true}
	if err := os.WriteFile(s.self, []byte("a program"), 0o700); err != nil {
		t.Fatal(err)
	}
	m := &manager{asked: strings.Join(w.running, " ")}
	s.run = m.run
	return s, m
}

// files are those of the machine, and what they hold.
func files(t *testing.T, s *System) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(s.root, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		all[strings.TrimPrefix(name, s.root)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var client = Client{Link: "culvert:secret", Options: []string{"--lan=true", "--web=127.0.0.1:1080"}}

func TestALinkIsInAFileAloneThatItsOwnerReads(t *testing.T) {
	t.Parallel()
	for _, w := range ways() {
		s, told := machine(t, w)
		if err := s.Install(t.Context(), client); err != nil {
			t.Fatal(err)
		}
		for name, text := range files(t, s) {
			if strings.Contains(text, "secret") != (name == strings.TrimPrefix(s.path(s.link), s.root)) {
				t.Errorf("%s: got %q in %s, want the link in its own file alone", s.log, text, name)
			}
		}
		if info, err := os.Stat(s.path(s.link)); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: got %v and %v, want mode 0600", s.log, info.Mode(), err)
		}
		if strings.Contains(strings.Join(*told, "\n"), "secret") {
			t.Errorf("got %q, want no secret on a command line", *told)
		}
	}
}

func TestTheSystemIsToldTheFlags(t *testing.T) {
	t.Parallel()
	for _, w := range ways() {
		s, told := machine(t, w)
		if err := s.Install(t.Context(), client); err != nil {
			t.Fatal(err)
		}
		all := strings.Join(*told, "\n")
		for _, text := range files(t, s) {
			all += text
		}
		for _, want := range []string{"--lan=true", "--web=127.0.0.1:1080", s.program} {
			if !strings.Contains(all, want) {
				t.Errorf("%s: got %s, want %s in it", s.log, all, want)
			}
		}
		if b, err := os.ReadFile(s.path(s.program)); err != nil || string(b) != "a program" {
			t.Errorf("%s: got %q and %v, want the program copied to %s", s.log, b, err, s.program)
		}
	}
}

func TestInstalledAgainTheLinkStaysAndTheFlagsAreNew(t *testing.T) {
	t.Parallel()
	for _, w := range ways() {
		s, told := machine(t, w)
		if err := s.Install(t.Context(), client); err != nil {
			t.Fatal(err)
		}
		*told = nil
		if err := s.Install(t.Context(), Client{Options: []string{"--host=new"}}); err != nil {
			t.Fatal(err)
		}
		all := files(t, s)
		if got := all[strings.TrimPrefix(s.path(s.link), s.root)]; got != "culvert:secret\n" {
			t.Errorf("%s: got link %q, want the first", s.log, got)
		}
		text := strings.Join(*told, "\n")
		for _, one := range all {
			text += one
		}
		if strings.Contains(text, "--web") || !strings.Contains(text, "--host=new") {
			t.Errorf("%s: got %s, want the new flags alone", s.log, text)
		}
	}
}

func TestUninstalledNothingIsLeftButTheProgram(t *testing.T) {
	t.Parallel()
	for _, w := range ways() {
		s, _ := machine(t, w)
		if err := s.Install(t.Context(), client); err != nil {
			t.Fatal(err)
		}
		learned := s.path(filepath.Join(s.state, "learned"))
		if err := errors.Join(os.MkdirAll(filepath.Dir(learned), 0o700), os.WriteFile(learned, nil, 0o600), s.Uninstall(t.Context())); err != nil {
			t.Fatal(err)
		}
		if all := files(t, s); len(all) != 1 || s.Installed(t.Context()) {
			t.Errorf("%s: got %q left, want %s alone", s.log, all, s.program)
		}
		if err := s.Uninstall(t.Context()); err != ErrMissing {
			t.Errorf("%s: got %v, want %v", s.log, err, ErrMissing)
		}
	}
}

// What a package has brought is the package's: it neither changes nor goes.
func TestAPackagesFilesStay(t *testing.T) {
	t.Parallel()
	for _, w := range []way{systemd(), openRC(), procd()} {
		s, _ := machine(t, w)
		s.self = "/usr/bin/culvert"
		if err := errors.Join(os.MkdirAll(filepath.Dir(s.path(w.packaged)), 0o755), os.WriteFile(s.path(w.packaged), []byte("the package's"), 0o644)); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.Install(t.Context(), client), s.Uninstall(t.Context())); err != nil {
			t.Fatal(err)
		}
		if all := files(t, s); len(all) != 1 || all[w.packaged] != "the package's" {
			t.Errorf("%s: got %q, want the package's file alone", s.log, all)
		}
	}
}

func TestRefusalsSayWhatToDoAndDoNothing(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		admin bool
		link  string
		want  string
	}{
		"nobody":  {false, "culvert:secret", "sudo"},
		"no link": {true, "", "--link-file"},
	} {
		s, told := machine(t, systemd())
		s.admin = c.admin
		err := s.Install(t.Context(), Client{Link: c.link})
		if err == nil || !strings.Contains(err.Error(), c.want) || len(files(t, s)) > 0 || len(*told) > 0 {
			t.Errorf("%s: got %v, %q and %q, want a refusal with %q", what, err, files(t, s), *told, c.want)
		}
	}
	s, _ := machine(t, systemd())
	for name, do := range map[string]func(context.Context) error{"start": s.Start, "stop": s.Stop} {
		if err := do(t.Context()); err != ErrMissing {
			t.Errorf("%s: got %v, want %v", name, err, ErrMissing)
		}
	}
	if err := s.find("plan9"); err != ErrSystem {
		t.Errorf("got %v, want %v", err, ErrSystem)
	}
}

func TestACommandThatFailsIsNamed(t *testing.T) {
	t.Parallel()
	s, _ := machine(t, systemd())
	s.run = func(_ context.Context, command ...string) (string, error) {
		if slices.Contains(command, "enable") {
			return "no such unit", errors.New("exit status 1")
		}
		return "", nil
	}
	if err := s.Install(t.Context(), client); err == nil || !strings.Contains(err.Error(), "systemctl enable culvert: exit status 1: no such unit") {
		t.Errorf("got %v, want the command and what it said", err)
	}
}

// A program that lies where programs do runs from there.
func TestAProgramThatIsInItsPlaceIsNotCopied(t *testing.T) {
	t.Parallel()
	s, _ := machine(t, systemd())
	for self, want := range map[string]string{
		"/usr/bin/culvert": "/usr/bin/culvert", "/opt/culvert/culvert": "/opt/culvert/culvert",
		"/opt/a b/culvert": unixProgram, "/home/me/culvert": unixProgram, "/tmp/culvert": unixProgram,
	} {
		s.self = self
		if got := s.Program(); got != want {
			t.Errorf("%s: got %s, want %s", self, got, want)
		}
	}
}

// Whoever has Linux leave root fewer ports, or none, has the client have them, too.
func TestLinuxSaysWhichPortsAreRoots(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]int{"80\n": 80, "0\n": 0, "": 1024, "none": 1024} {
		s, _ := machine(t, systemd())
		if err := errors.Join(os.MkdirAll(filepath.Dir(s.path(rootsPorts)), 0o755), os.WriteFile(s.path(rootsPorts), []byte(said), 0o600)); err != nil {
			t.Fatal(err)
		}
		if got := s.FirstPort(); got != want {
			t.Errorf("%q: got %d, want %d", said, got, want)
		}
	}
	for _, w := range ways() {
		s, _ := machine(t, w)
		if got := s.FirstPort(); (got == 1024) != (w.goos == "linux") || got != 1024 && got != 0 {
			t.Errorf("%s: got %d, want 1024 on Linux alone", w.goos, got)
		}
	}
}

func TestThePropertyListIsXML(t *testing.T) {
	t.Parallel()
	d := xml.NewDecoder(strings.NewReader(propertyList("name", "/log", []string{"a&b", "<c>"})))
	var texts []string
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if c, is := token.(xml.CharData); is {
			texts = append(texts, string(c))
		}
	}
	if !slices.Contains(texts, "a&b") || !slices.Contains(texts, "<c>") {
		t.Errorf("got %q, want the arguments as they were", texts)
	}
}

func TestNoShellFindsAMeaningInPlainOptions(t *testing.T) {
	t.Parallel()
	for option, want := range map[string]bool{
		"--via=socks5://[::1]:1080": true, "--lan=true": true, "--resolver=https://dns.example/dns-query": true,
		"--host=a b": false, "--host=$(id)": false, "--host=a;b": false, "--host='": false, "--host=\"": false, "--host=`id`": false,
		"--host=a\nb": false, `--host=\`: false, "--host=*": false, "--host=%h": false, "--host=é": false,
	} {
		if Plain(option) != want {
			t.Errorf("%s: got %v, want %v", option, !want, want)
		}
	}
}
