// Package serve is what Culvert's servers have in common: settings read from
// the environment and explained, certificates and lists that are read again
// when their files change, the listener's limits, the admin listener, and a
// graceful stop. It reads the environment for main and knows no protocol.
package serve

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
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
	Name  string // of the executable
	About string // a paragraph
}

// checker is a settings struct that knows what its fields must be together.
// Zero SettingErrors in its answer mean nothing.
type checker interface{ Check() []SettingError }

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

// Load fills the struct at cfg, or shows what args ask for and returns
// ErrShown. Its fields have the tags of caarlos0/env and three more, which are
// the manual: help is the meaning, try an example, and empty is the value that
// stands for an empty variable (by default empty means: not set). All that is
// wrong is in the one error, a SettingError each, joined.
func Load(p Program, cfg any, args []string, out io.Writer) error {
	if len(args) > 0 {
		return p.show(cfg, args, out)
	}
	fields := fieldsOf(reflect.TypeOf(cfg).Elem())
	wrong := translate(env.ParseWithOptions(cfg, env.Options{Environment: environment(fields)}), fields)
	if c, ok := cfg.(checker); ok {
		wrong = append(wrong, unnamed(c.Check(), wrong)...)
	}
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
