package visit

import (
	"strings"

	"culvert/client/look"
)

// element is something in a page that a browser asks for, or that says where others are.
type element struct {
	kind    look.Part
	address string
}

// baseElement is the kind of an element that addresses behind it are relative to.
const baseElement look.Part = "base"

// elements finds in a page what a browser asks for as soon as it has read it, and whose requests a look has: style
// sheets, scripts, images and icons. It reads tags as a browser's scanner does, which looks ahead for them, and knows
// nothing of trees. golang.org/x/net/html knows more, and would take a tenth of a megabyte of a router's flash.
func elements(text string) (all []element) {
	for {
		at := strings.IndexByte(text, '<')
		if at < 0 {
			return all
		}
		text = text[at+1:]
		if rest, ok := strings.CutPrefix(text, "!--"); ok {
			_, text, _ = strings.Cut(rest, "-->")
			continue
		}
		name, attributes, rest := tag(text)
		if text = rest; name == "" {
			continue
		}
		if e := meaning(name, attributes); e.address != "" {
			all = append(all, e)
		}
		if hasOther(name) {
			text = behind(text, name)
		}
	}
}

// hasOther reports whether tags in an element mean nothing, or nothing to a browser that runs scripts.
func hasOther(name string) bool {
	switch name {
	case "script", "style", "title", "textarea", "noscript", "template":
		return true
	}
	return false
}

// behind is what follows the end of an element.
func behind(text, name string) string {
	for {
		_, rest, found := strings.Cut(text, "</")
		if !found {
			return ""
		}
		if text = rest; len(text) >= len(name) && strings.EqualFold(text[:len(name)], name) {
			return text[len(name):]
		}
	}
}

// meaning is what an element has a browser ask for; without an address: nothing.
func meaning(name string, a map[string]string) element {
	switch name {
	case "base":
		return element{baseElement, a["href"]}
	case "link":
		return element{linked(a), a["href"]}.orNone()
	case "script":
		if kind := strings.ToLower(a["type"]); kind != "" && kind != "text/javascript" && kind != "application/javascript" {
			return element{} // a module, which is asked for in another way, or no script
		}
		_, isDeferred := a["defer"]
		if _, isAsync := a["async"]; isDeferred || isAsync {
			return element{look.Later, a["src"]}.unless(a, "crossorigin")
		}
		return element{look.Script, a["src"]}.unless(a, "crossorigin")
	case "img":
		if strings.EqualFold(a["loading"], "lazy") {
			return element{}
		}
		return element{look.Image, a["src"]}.unless(a, "crossorigin", "srcset")
	}
	return element{}
}

// linked is the kind of what a link element names; empty: nothing that is asked for.
func linked(a map[string]string) look.Part {
	is := map[string]bool{}
	for _, word := range strings.Fields(strings.ToLower(a["rel"])) {
		is[word] = true
	}
	media := strings.ToLower(strings.TrimSpace(a["media"]))
	_, cors := a["crossorigin"]
	switch {
	case is["stylesheet"] && !is["alternate"] && !cors && (media == "" || media == "all" || media == "screen"):
		return look.Style
	case is["icon"]:
		return look.Icon
	}
	return ""
}

func (e element) orNone() element {
	if e.kind == "" {
		return element{}
	}
	return e
}

// unless is e where none of these attributes is, by which it is asked for in another way, or something else is.
func (e element) unless(a map[string]string, names ...string) element {
	for _, name := range names {
		if _, has := a[name]; has {
			return element{}
		}
	}
	return e
}

// maxAttributes bounds those of one tag.
const maxAttributes = 32

// tag reads a tag behind its "<". An end has no name here.
func tag(text string) (name string, attributes map[string]string, rest string) {
	n := 0
	for n < len(text) && isLetter(text[n]) {
		n++
	}
	name, text = strings.ToLower(text[:n]), text[n:]
	if name == "" {
		return "", nil, text
	}
	attributes = map[string]string{}
	for range maxAttributes {
		text = strings.TrimLeft(text, " \t\r\n\f/")
		if text == "" || text[0] == '>' {
			break
		}
		var key, value string
		key, value, text = attribute(text)
		if _, has := attributes[key]; !has { // the first counts
			attributes[key] = value
		}
	}
	_, rest, _ = strings.Cut(text, ">")
	return name, attributes, rest
}

// attribute reads one, whose value may be missing.
func attribute(text string) (name, value, rest string) {
	n := 1 // even "=" begins a name
	for n < len(text) && !strings.ContainsRune(" \t\r\n\f/>=", rune(text[n])) {
		n++
	}
	name, text = strings.ToLower(text[:n]), strings.TrimLeft(text[n:], " \t\r\n\f")
	if !strings.HasPrefix(text, "=") {
		return name, "", text
	}
	text = strings.TrimLeft(text[1:], " \t\r\n\f")
	if text != "" && (text[0] == '"' || text[0] == '\'') {
		value, rest, _ = strings.Cut(text[1:], text[:1])
		return name, unescaped(value), rest
	}
	n = strings.IndexAny(text, " \t\r\n\f>")
	if n < 0 {
		n = len(text)
	}
	return name, unescaped(text[:n]), text[n:]
}

// unescaped is a value of an attribute without what stands for "&", the one character that addresses need.
func unescaped(text string) string {
	return strings.ReplaceAll(text, "&amp;", "&")
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
