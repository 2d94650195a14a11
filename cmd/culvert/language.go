package main

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"culvert/internal/lang"
	"culvert/internal/term"
)

// langFlag adds --lang to f. Its value is what it names, or else the system's language.
func langFlag(f *term.Flags) *lang.Language {
	l := systemLanguage()
	f.Func("lang", "`TAG` of the language: "+languages()+" (default the system's)", func(tag string) error {
		named, ok := lang.Match(tag)
		if !ok {
			return fmt.Errorf("there are %s", languages())
		}
		l = named
		return nil
	})
	return &l
}

// languages lists the tags that --lang takes.
func languages() string {
	var tags []string
	for _, l := range lang.All {
		tags = append(tags, string(l))
	}
	return strings.Join(tags[:len(tags)-1], ", ") + " or " + tags[len(tags)-1]
}

// systemLanguage is what the environment says, by POSIX' rules, or else what the system shows its own windows in.
func systemLanguage() lang.Language {
	if locale := cmp.Or(os.Getenv("LC_ALL"), os.Getenv("LC_MESSAGES"), os.Getenv("LANG")); locale != "" {
		return lang.First(locale)
	}
	return lang.First(windowLanguages()...)
}
