package lang

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
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
	if unpacked() != sources(t) {
		t.Error("messages/ has changed: go generate ./internal/lang")
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

// asks are the methods that look a message up, and which of their arguments it is.
var asks = map[string]int{"Text": 0, "Say": 0, "Add": 1, "Anchor": 1}

// rooms are where messages are asked for.
var rooms = []string{"../../client", "../../cmd/culvert", "../../internal"}

func TestEveryMessageThatIsAskedForIsThere(t *testing.T) {
	t.Parallel()
	all := entries(t)
	inSources(t, func(name string, n ast.Node) {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return
		}
		method, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return
		}
		i, ok := asks[method.Sel.Name]
		if !ok || i >= len(call.Args) {
			return
		}
		if text, literal := literalOf(call.Args[i]); literal && strings.ContainsAny(text, "abcdefghijklmnopqrstuvwxyz") && all[text] == nil {
			t.Errorf("%s asks for %q, which the catalogue has not", name, text)
		}
	})
}

func TestNoMessageIsLeftOver(t *testing.T) {
	t.Parallel()
	all := entries(t)
	inSources(t, func(_ string, n ast.Node) {
		if e, ok := n.(ast.Expr); ok {
			if text, literal := literalOf(e); literal {
				delete(all, text)
			}
		}
	})
	for english := range all {
		t.Errorf("nothing says %q any more: take it out of messages/", english)
	}
}

// inSources shows visit each node of the rooms' code.
func inSources(t *testing.T, visit func(name string, n ast.Node)) {
	files := token.NewFileSet()
	for _, room := range rooms {
		err := filepath.WalkDir(room, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return err
			}
			f, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(f, func(n ast.Node) bool { visit(name, n); return true })
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// literalOf is the text of a literal, or of several that are joined.
func literalOf(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		left, ok := literalOf(e.X)
		right, too := literalOf(e.Y)
		return left + right, ok && too && e.Op == token.ADD
	}
	return "", false
}
