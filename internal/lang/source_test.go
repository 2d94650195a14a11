package lang

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// asks are the methods that speak in a person's language, and which of their arguments the message is.
var asks = map[string]int{"Text": 0, "Say": 0, "Hint": 0, "Title": 0, "Wrong": 0, "Step": 2, "Add": 1, "Anchor": 1}

// told are the files, by patterns, of what a person at a client is told, also by errors.
var told = []string{
	"client/client.go", "client/probe.go", "client/socket.go", "client/doctor/*.go", "client/front/*.go", "client/household/page.go",
	"client/listener/lan.go", "client/listener/listen.go", "client/nearend/*.go", "client/startup/[as]*.go", "cmd/culvert/*.go", "internal/carrier/cause.go", "internal/dial/hosts.go",
	"internal/doh/*.go", "internal/link/*.go", "internal/page/*.go", "internal/seal/keys.go", "internal/secret/*.go", "internal/term/*.go", "internal/wire/gate.go",
	"internal/whatsapp/*.go",
}

// notTold are those of them that speak to operators, of lists of fronts, and to machines.
var notTold = []string{"cmd/culvert/fronts.go", "cmd/culvert/browser.go", "internal/link/list.go", "internal/link/lists.go"}

// sourceFile is a file of told.
type sourceFile struct {
	name string
	ast  *ast.File
}

func sourceFiles(t *testing.T) (all []sourceFile) {
	set := token.NewFileSet()
	for _, pattern := range told {
		names, _ := filepath.Glob(filepath.Join("../..", pattern))
		if len(names) == 0 {
			t.Errorf("there is no %s", pattern)
		}
		for _, name := range names {
			short, _ := filepath.Rel("../..", name)
			if strings.HasSuffix(name, "_test.go") || slices.Contains(notTold, filepath.ToSlash(short)) {
				continue
			}
			f, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, sourceFile{short, f})
		}
	}
	return all
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

// calls shows visit each call of a method or function by its last name, and its literal at an argument.
func (f sourceFile) calls(visit func(name string, call *ast.CallExpr)) {
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			switch of := call.Fun.(type) {
			case *ast.SelectorExpr:
				visit(of.Sel.Name, call)
			case *ast.Ident:
				visit(of.Name, call)
			}
		}
		return true
	})
}

// Words that a method is asked to say are in the catalogue, or are made of what is.
func TestEveryMessageThatIsAskedForIsThere(t *testing.T) {
	t.Parallel()
	all, english := entries(t), english(t)
	for _, f := range sourceFiles(t) {
		f.calls(func(name string, call *ast.CallExpr) {
			i, ok := asks[name]
			if !ok || i >= len(call.Args) {
				return
			}
			if text, literal := literalOf(call.Args[i]); literal && isSaid(text) && !isThere(all, text) && !english[text] {
				t.Errorf("%s says %q, which the catalogue has not", f.name, text)
			}
		})
	}
}

var letters = regexp.MustCompile(`[a-z]{2}`)

// isSaid reports whether a format has words of its own. What begins with two spaces is a command, or a field of a link.
func isSaid(format string) bool {
	return letters.MatchString(places.ReplaceAllString(format, "")) && !strings.HasPrefix(format, "  ")
}

// isThere reports whether a message, or each part of it, is in the catalogue.
func isThere(all map[string]map[Language]string, text string) bool {
	if all[text] != nil {
		return true
	}
	for part := range strings.SplitSeq(strings.Trim(text, ";: "), "; ") {
		if all[part] == nil {
			return false
		}
	}
	return true
}

// flags and logs are what takes English: help, and what is for logs or machines.
var flags = []string{"StringVar", "BoolVar", "Bool", "String", "IntVar", "Float64Var", "DurationVar", "Func", "Texts", "NewFlags", "Debug", "Info", "Warn", "Error",
	"Fprintf", "WriteString", "Fprint", "DeriveKey", "panic", "ReplaceAll"}

// What people are told past the methods of asks, by errors above all, is in the catalogue, too.
func TestNoEnglishIsToldPastTheCatalogue(t *testing.T) {
	t.Parallel()
	all, english := entries(t), english(t)
	for _, f := range sourceFiles(t) {
		skip := map[ast.Expr]bool{}
		f.calls(func(name string, call *ast.CallExpr) {
			if slices.Contains(flags, name) {
				for _, arg := range call.Args {
					skip[arg] = true
				}
			}
		})
		ast.Inspect(f.ast, func(n ast.Node) bool {
			e, ok := n.(ast.Expr)
			if !ok || skip[e] {
				return !ok
			}
			text, literal := literalOf(e)
			if literal && isSentence(text) && !isThere(all, text) && !english[text] {
				t.Errorf("%s: %q is not in the catalogue", f.name, text)
			}
			return !literal
		})
	}
}

// isSentence reports whether a literal is for people: two words at least, and no text of several lines.
func isSentence(text string) bool {
	words := 0
	for _, w := range strings.Fields(places.ReplaceAllString(text, "")) {
		if letters.MatchString(w) {
			words++
		}
	}
	return words >= 2 && !strings.Contains(text, "\n")
}

// english is what is not in the catalogue for a reason, which the file says.
func english(t *testing.T) map[string]bool {
	text, err := os.ReadFile("testdata/english.txt")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		all[strings.TrimSuffix(line, "\n")] = true
	}
	return all
}

func TestNoMessageIsLeftOver(t *testing.T) {
	t.Parallel()
	all := entries(t)
	for _, f := range sourceFiles(t) {
		f.calls(func(name string, call *ast.CallExpr) {
			if name == "Count" && len(call.Args) == 2 {
				thing, _ := literalOf(call.Args[1])
				delete(all, "1 "+thing)
				delete(all, "%d "+thing+"s")
			}
		})
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if e, ok := n.(ast.Expr); ok {
				if text, literal := literalOf(e); literal {
					delete(all, text)
					for part := range strings.SplitSeq(strings.Trim(text, ";: "), "; ") {
						delete(all, part)
					}
				}
			}
			return true
		})
	}
	for _, text := range systemTexts() {
		delete(all, text)
	}
	for english := range all {
		t.Errorf("nothing says %q any more: take it out of messages/", english)
	}
}

// systemTexts are what systems and Go's own packages say.
func systemTexts() (all []string) {
	for n := range syscall.Errno(200) {
		all = append(all, n.Error())
	}
	f := flag.NewFlagSet("", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Int("n", 0, "")
	asFormat := strings.NewReplacer(`"y"`, "%q", "-n", "--%s", "-x", "--%s", "parse error", "%v")
	for _, line := range [][]string{{"-x"}, {"-n"}, {"-n", "y"}} {
		all = append(all, asFormat.Replace(f.Parse(line).Error()))
	}
	return append(all, "parse error", "value out of range")
}
