// Command embed puts the texts that templates hold into them: gate.js, which
// CloudFront runs, and host/install, which instances run. In a template, a text
// stands between the lines "# BEGIN name" and "# END name" as the first element
// of an Fn::Sub list; the template gives the values of the variables in it.
//
//	go run ./infra/embed
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"culvert/edge/gate"
)

func main() {
	if err := run("infra"); err != nil {
		fmt.Fprintln(os.Stderr, "embed:", err)
		os.Exit(1)
	}
}

func run(infra string) error {
	texts, err := texts(infra)
	if err != nil {
		return err
	}
	templates, err := filepath.Glob(filepath.Join(infra, "*.yaml"))
	if err != nil {
		return err
	}
	for _, name := range templates {
		if err := update(name, texts); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func update(name string, texts map[string]string) error {
	old, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	now, err := embed(string(old), texts)
	if err != nil || now == string(old) {
		return err
	}
	return os.WriteFile(name, []byte(now), 0o644)
}

// texts are what may be embedded, by name, ready for Fn::Sub.
func texts(infra string) (map[string]string, error) {
	install, err := os.ReadFile(filepath.Join(infra, "host", "install"))
	if err != nil {
		return nil, err
	}
	const gates, settings = "GATES", "SETTINGS"
	return map[string]string{
		"gate.js": forSub(gate.Code(gates), gates, "${Gates}"),
		"install": forSub(string(install), settings, "${Settings}"),
	}, nil
}

// forSub writes text so that Fn::Sub gives it back, with the variable where
// the placeholder is.
func forSub(text, placeholder, variable string) string {
	text = strings.ReplaceAll(text, "${", "${!")
	return strings.Replace(text, "'"+placeholder+"'", "'"+variable+"'", 1)
}

// embed returns the template with the texts between their markers.
func embed(template string, texts map[string]string) (string, error) {
	var out strings.Builder
	name := "" // of the text that is being replaced
	for line := range strings.Lines(template) {
		words := strings.Fields(line)
		marker := len(words) == 3 && words[0] == "#"
		if marker && words[1] == "END" && words[2] == name {
			name = ""
		}
		if name == "" {
			out.WriteString(line)
		}
		if marker && words[1] == "BEGIN" && name == "" {
			name = words[2]
			text, ok := texts[name]
			if !ok {
				return "", fmt.Errorf("there is no text %q to embed: see texts in infra/embed", name)
			}
			out.WriteString(literal(text, line[:strings.Index(line, "#")]))
		}
	}
	if name != "" {
		return "", fmt.Errorf("a line %q is missing", "# END "+name)
	}
	return out.String(), nil
}

// literal is text as the first element of a YAML list.
func literal(text, indent string) string {
	var out strings.Builder
	out.WriteString(indent + "- |\n")
	for line := range strings.Lines(text) {
		if line != "\n" {
			out.WriteString(indent + "  ")
		}
		out.WriteString(line)
	}
	return out.String()
}
