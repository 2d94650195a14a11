package lang

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// sources is all files of messages, as a translator edits them.
func sources(t *testing.T) string {
	names, err := filepath.Glob("messages/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatalf("got %v, %v", names, err)
	}
	var all strings.Builder
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

func TestProgramsHoldTheMessagesAsTheyAre(t *testing.T) {
	t.Parallel()
	all := entries(t)
	for english, translations := range all {
		for _, l := range All[1:] {
			if got, _ := l.find(english); got != translations[l] {
				t.Errorf("%q in %s: got %q, want %q: go generate ./internal/lang", english, l, got, translations[l])
			}
		}
	}
	if got, want := len(unpacked()), len(all)*len(All); got != want {
		t.Errorf("got %d lines, want %d: go generate ./internal/lang", got, want)
	}
}

// entries maps each message to its translations.
func entries(t *testing.T) map[string]map[Language]string {
	all := map[string]map[Language]string{}
	english := ""
	for line := range strings.Lines(sources(t)) {
		line = strings.TrimSuffix(line, "\n")
		switch translation, is := strings.CutPrefix(line, "  "); {
		case line == "" || line[0] == '#':
		case !is:
			if english = line; all[english] != nil {
				t.Errorf("%q stands there twice", english)
			}
			all[english] = map[Language]string{}
		default:
			tag, text, _ := strings.Cut(translation, " ")
			if all[english][Language(tag)] != "" || !slices.Contains(All[1:], Language(tag)) {
				t.Errorf("%q: %q is there twice, or no language", english, tag)
			}
			all[english][Language(tag)] = text
		}
	}
	return all
}

var places = regexp.MustCompile(`%(\[\d+\])?[a-z]`)

func TestNothingIsMissingInAnyLanguage(t *testing.T) {
	t.Parallel()
	for english, translations := range entries(t) {
		for _, l := range All[1:] {
			if text := translations[l]; strings.TrimSpace(text) != text || text == "" {
				t.Errorf("%q: nothing in %s, or spaces around it: %q", english, l.Name(), text)
			}
		}
	}
}

// A place that a translation loses, doubles or takes for another would lose what is put there.
func TestPlacesAreNeverTranslatedAway(t *testing.T) {
	t.Parallel()
	for english, translations := range entries(t) {
		kinds := places.FindAllString(english, -1)
		for l, text := range translations {
			used, next := make([]string, len(kinds)), 0
			for _, place := range places.FindAllString(text, -1) {
				if number, kind, numbered := strings.Cut(strings.TrimPrefix(place, "%["), "]"); numbered {
					next, _ = strconv.Atoi(number)
					next, place = next-1, "%"+kind
				}
				if next >= len(kinds) {
					t.Fatalf("%q in %s: %q has more places", english, l, text)
				}
				used[next] = place
				next++
			}
			if !slices.Equal(used, kinds) {
				t.Errorf("%q in %s: got the places %q, want %q", english, l, used, kinds)
			}
		}
	}
}

// What is typed, and the names of flags, files and programs, are the same in every language.
func TestWhatIsTypedStaysAsItIs(t *testing.T) {
	t.Parallel()
	typed := regexp.MustCompile(`--[a-z-]+|culvert [a-z]+|culvert\.exe|Termux|F-Droid|TLS|Settings, Storage and data, Proxy`)
	for english, translations := range entries(t) {
		for _, word := range typed.FindAllString(english, -1) {
			for l, text := range translations {
				if !strings.Contains(text, word) {
					t.Errorf("%q in %s: %q lacks %q", english, l, text, word)
				}
			}
		}
	}
}
