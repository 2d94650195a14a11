// Package serve is what Culvert's servers have in common: settings read from
// the environment and explained, certificates and lists that are read again
// when their files change, the listener's limits, the admin listener, and a
// graceful stop. It reads the environment for main and knows no protocol.
package serve

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"culvert/internal/netpoll"
	"culvert/internal/version"
)

// ErrShown means that --help or --version was asked for and shown: exit with 0.
var ErrShown = errors.New("shown")

// SettingError is one setting that is missing or wrong.
type SettingError struct {
	Name    string // the environment variable
	Problem string // never holds the value of a secret
	Try     string // what to set it to
}

func (e SettingError) Error() string {
	if e.Try == "" {
		return e.Name + ": " + e.Problem
	}
	return fmt.Sprintf("%s: %s\n\ttry %s", e.Name, e.Problem, e.Try)
}

// Program is what --help and --version say of a program.
type Program struct {
	Name     string // of the executable
	About    string // a paragraph
	Commands string // that main has beside serving, as term.Program.List names them; empty: there are none
	Health   string // the setting of the listener that answers /healthz; empty: CULVERT_ADMIN_LISTEN
}

// Settings are a pointer to a struct that knows what its fields must be together. Zero
// SettingErrors in the answer of Check mean nothing.
type Settings interface{ Check() []SettingError }

// Wrong is the SettingError for err, or the zero one if err is nil.
func Wrong(name string, err error, try string) SettingError {
	if err == nil {
		return SettingError{}
	}
	return SettingError{name, err.Error(), try}
}

// Positive is the SettingError for a number or duration that is not above 0.
func Positive[N ~int | ~int64](name string, n N, try string) SettingError {
	if n > 0 {
		return SettingError{}
	}
	return SettingError{name, "is not above 0", name + "=" + try}
}

// Listens is a setting and an address to listen at that it holds.
type Listens struct {
	Name string
	At   Address // empty or off: none
}

// Apart refuses two addresses of which one listener would take the other's port.
func Apart(all ...Listens) SettingError {
	a, b, is := netpoll.Clash(all, func(l Listens) string { return string(l.At) })
	if !is {
		return SettingError{}
	}
	return SettingError{b.Name, "has the port of " + a.Name + ", " + string(a.At), b.Name + " with another port"}
}

// Load fills the struct that cfg points to, or shows what args ask for and returns
// ErrShown. Its fields have the tags of caarlos0/env and four more, which are
// the manual: help is the meaning, try an example, empty the value that stands for
// an empty variable (by default empty means: not set), and sighup:"reread" marks a
// file that SIGHUP has the program read again. All that is wrong is in the one
// error, a SettingError each, joined.
func Load(p Program, cfg Settings, args []string, out io.Writer) error {
	if len(args) > 0 {
		return p.show(cfg, args, out)
	}
	fields := fieldsOf(reflect.TypeOf(cfg).Elem())
	wrong := translate(env.ParseWithOptions(cfg, env.Options{Environment: environment(fields)}), fields)
	wrong = append(wrong, unnamed(cfg.Check(), wrong)...)
	errs := make([]error, len(wrong))
	for i, e := range wrong {
		errs[i] = e
	}
	return errors.Join(errs...)
}

// environment is the process's, without what is empty.
func environment(fields []field) map[string]string {
	vars := map[string]string{}
	for _, f := range fields {
		v, ok := os.LookupEnv(f.name)
		if ok && v == "" {
			v = f.empty
		}
		if v != "" {
			vars[f.name] = v
		}
	}
	return vars
}

// unnamed are those of more that name a setting which is not among known.
func unnamed(more, known []SettingError) []SettingError {
	named := map[string]bool{"": true} // the zero ones
	for _, e := range known {
		named[e.Name] = true
	}
	var rest []SettingError
	for _, e := range more {
		if !named[e.Name] {
			rest = append(rest, e)
		}
	}
	return rest
}

func translate(err error, fields []field) []SettingError {
	if err == nil {
		return nil
	}
	var all env.AggregateError
	if !errors.As(err, &all) {
		return []SettingError{{Name: "settings", Problem: err.Error()}}
	}
	var wrong []SettingError
	for _, e := range all.Errors {
		wrong = append(wrong, explain(e, fields))
	}
	return wrong
}

func explain(err error, fields []field) SettingError {
	var missing env.VarIsNotSetError
	var parse env.ParseError
	for _, f := range fields {
		switch {
		case errors.As(err, &missing) && missing.Key == f.name:
			return SettingError{f.name, "is not set: " + f.help, f.example()}
		case errors.As(err, &parse) && parse.Name == f.goName:
			return SettingError{f.name, problem(parse), f.example()}
		}
	}
	return SettingError{Name: "settings", Problem: err.Error()}
}

// problem says in words what the standard parsers say in names of functions.
func problem(e env.ParseError) string {
	switch {
	case e.Type == reflect.TypeFor[time.Duration]():
		return "is not a duration"
	case reflect.PointerTo(e.Type).Implements(reflect.TypeFor[interface{ UnmarshalText([]byte) error }]()):
		return e.Err.Error()
	case e.Type.Kind() == reflect.Bool:
		return "is neither true nor false"
	case e.Type.Kind() == reflect.Int:
		return "is not a whole number"
	}
	return strings.TrimSpace(e.Err.Error())
}

// field is one setting as its struct's tags describe it.
type field struct {
	name     string // the environment variable
	goName   string
	initial  string // the default
	help     string
	try      string
	empty    string
	required bool
	reread   bool // names a file that SIGHUP has the program read again
}

func (f field) example() string {
	if f.try == "" {
		return ""
	}
	return f.name + "=" + f.try
}

// fieldsOf lists the settings of a struct and of the structs in it.
func fieldsOf(t reflect.Type) []field {
	var all []field
	for i := range t.NumField() {
		f := t.Field(i)
		key, options, _ := strings.Cut(f.Tag.Get("env"), ",")
		if key == "" {
			if f.Type.Kind() == reflect.Struct {
				all = append(all, fieldsOf(f.Type)...)
			}
			continue
		}
		all = append(all, field{
			name: key, goName: f.Name, initial: f.Tag.Get("envDefault"), help: f.Tag.Get("help"),
			try: f.Tag.Get("try"), empty: f.Tag.Get("empty"), required: strings.Contains(options, "required"),
			reread: f.Tag.Get("sighup") == "reread",
		})
	}
	return all
}

func (p Program) show(cfg Settings, args []string, out io.Writer) error {
	switch {
	case len(args) == 1 && (args[0] == "--help" || args[0] == "-help" || args[0] == "-h"), len(args) == 2 && args[0] == "health" && args[1] == "--help":
		p.help(fieldsOf(reflect.TypeOf(cfg).Elem()), out)
	case len(args) == 1 && (args[0] == "--version" || args[0] == "-version"):
		fmt.Fprintf(out, "%s %s\n", p.Name, version.String())
	case len(args) == 1 && args[0] == "health":
		if err := p.health(fieldsOf(reflect.TypeOf(cfg).Elem())); err != nil {
			return err
		}
		fmt.Fprintln(out, "ok")
	default:
		return fmt.Errorf("%s takes no arguments but health, --help and --version: settings are environment variables, which --help lists", p.Name)
	}
	return ErrShown
}

func (p Program) help(fields []field, out io.Writer) {
	fmt.Fprintf(out, "%s: %s\n\n", p.Name, p.About)
	if p.Commands != "" {
		fmt.Fprintln(out, p.Commands)
	}
	fmt.Fprint(out, "Settings are environment variables:\n")
	var again []string
	for _, f := range fields {
		if f.reread {
			again = append(again, f.name)
		}
		fmt.Fprintf(out, "\n  %s\n      %s\n", f.name, f.help)
		switch {
		case f.required:
			fmt.Fprintln(out, "      required")
		case f.initial != "":
			fmt.Fprintln(out, "      default:", f.initial)
		}
		if f.try != "" {
			fmt.Fprintln(out, "      example:", f.example())
		}
	}
	fmt.Fprintf(out, "\nSIGTERM or SIGINT stops it gracefully, a second one at once.\nSIGHUP has it read the files of %s again at once,\n"+
		"and changes nothing else: what other settings name is read at the start.\n\n"+
		"%s health asks the one that runs with the same settings whether it is well: the exit code is 0, or 1.\n", strings.Join(again, ", "), p.Name)
}

// Address is a host:port to listen on or to dial. The host may be empty (all
// interfaces), the port 0 (any free one).
type Address string

// UnmarshalText refuses what is no host:port.
func (a *Address) UnmarshalText(b []byte) error {
	_, port, err := net.SplitHostPort(string(b))
	if err != nil {
		return errors.New("is not host:port (an IPv6 address goes in brackets)")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return errors.New("has no port between 0 and 65535")
	}
	*a = Address(b)
	return nil
}

// Off is the AdminAddress that means: no admin listener.
const Off AdminAddress = "off"

// AdminAddress is an Address, or Off.
type AdminAddress string

// UnmarshalText refuses what is neither host:port nor off.
func (a *AdminAddress) UnmarshalText(b []byte) error {
	if string(b) == string(Off) {
		*a = Off
		return nil
	}
	var address Address
	if err := address.UnmarshalText(b); err != nil {
		return errors.New(err.Error() + `, nor "off"`)
	}
	*a = AdminAddress(address)
	return nil
}

// isLoopback reports whether only this machine can reach a.
func (a AdminAddress) isLoopback() bool {
	host, _, _ := net.SplitHostPort(string(a)) // UnmarshalText has checked it
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// URL is that of a server: http or https, a host, and perhaps a path.
type URL struct{ url.URL }

// UnmarshalText refuses all other URLs. It does not repeat what it got, which
// may hold a password.
func (u *URL) UnmarshalText(b []byte) error {
	parsed, err := url.Parse(string(b))
	switch {
	case err != nil || parsed.Scheme != "http" && parsed.Scheme != "https":
		return errors.New("is not an http:// or https:// URL")
	case parsed.Hostname() == "":
		return errors.New("names no host")
	case parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "":
		return errors.New("has more than a host, a port and a path")
	}
	u.URL = *parsed
	return nil
}
