package main

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"

	"culvert/internal/lang"
	"culvert/internal/term"
)

// languageFlag adds --language to f. Its value is what it names, or else the system's language: what a person is told in. What
// programs read, help and logs are English.
func languageFlag(f *term.Flags) *lang.Language {
	l := ownLanguage()
	f.Func("language", "`TAG` of the language to speak: "+languages()+" (default the system's)", l.set)
	return (*lang.Language)(&l)
}

// named is a language that a flag names.
type named lang.Language

func (n *named) set(tag string) error {
	l, ok := lang.Match(tag)
	if !ok {
		return fmt.Errorf("there are %s", languages())
	}
	*n = named(l)
	return nil
}

// languages lists the tags that a flag takes.
func languages() string {
	var tags []string
	for _, l := range lang.All {
		tags = append(tags, string(l))
	}
	return strings.Join(tags, ", ")
}

// spoken is the language of a command line that may be wrong: what is wrong with it is said in that language.
func spoken(args []string) lang.Language {
	for i, arg := range args {
		name, tag, joined := strings.Cut(arg, "=")
		if arg == "--" {
			break
		}
		if name != "--language" && name != "-language" {
			continue
		}
		if !joined && i+1 < len(args) {
			tag = args[i+1]
		}
		if l, ok := lang.Match(tag); ok {
			return l
		}
	}
	return lang.Language(ownLanguage())
}

// chosenLanguages are those of the system's settings, which some systems have a program say: it is asked once.
var chosenLanguages = sync.OnceValue(systemLanguages)

// ownLanguage is the language of whoever runs this.
func ownLanguage() named { return systemLanguage(os.Getenv, chosenLanguages) }

// systemLanguage is what the environment says, by the rules of POSIX and, for LANGUAGE, of GNU's gettext; or else
// what the system shows its own windows in. Termux says LANG=en_US.UTF-8 whatever Android's language is.
func systemLanguage(getenv func(string) string, system func() []string) named {
	locale := cmp.Or(getenv("LC_ALL"), getenv("LC_MESSAGES"))
	if locale == "" && runtime.GOOS == "android" {
		if all := system(); len(all) > 0 {
			return named(lang.First(all...))
		}
	}
	locale = cmp.Or(locale, getenv("LANG"))
	switch name, _, _ := strings.Cut(locale, "."); {
	case locale == "":
		return named(lang.First(system()...))
	case name == "C" || name == "POSIX":
		return named(lang.English)
	}
	return named(lang.First(append(strings.Split(getenv("LANGUAGE"), ":"), locale)...))
}
