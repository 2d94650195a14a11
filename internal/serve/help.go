package serve

import (
	"fmt"
	"io"
	"reflect"
	"strings"

	"culvert/internal/version"
)

// field is one setting as its struct's tags describe it.
type field struct {
	name     string // the environment variable
	goName   string
	initial  string // the default
	help     string
	try      string
	empty    string
	required bool
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
		})
	}
	return all
}

func (p Program) show(cfg any, args []string, out io.Writer) error {
	switch {
	case len(args) == 1 && (args[0] == "--help" || args[0] == "-help" || args[0] == "-h"):
		p.help(fieldsOf(reflect.TypeOf(cfg).Elem()), out)
	case len(args) == 1 && (args[0] == "--version" || args[0] == "-version"):
		fmt.Fprintf(out, "%s %s\n", p.Name, version.String())
	default:
		return fmt.Errorf("%s takes no arguments but --help and --version: settings are environment variables, which --help lists", p.Name)
	}
	return ErrShown
}

func (p Program) help(fields []field, out io.Writer) {
	fmt.Fprintf(out, "%s: %s\n\nSettings are environment variables:\n", p.Name, p.About)
	for _, f := range fields {
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
	fmt.Fprintf(out, "\nSIGTERM or SIGINT stops it gracefully, a second one at once.\n")
}
