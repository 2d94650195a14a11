// Package infra holds templates. Its tests render them as CloudFormation would, in every
// combination of what can be chosen, and look at what comes out.
package infra

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

// template is a file's content, with functions in their long form: !Ref x is {"Ref": "x"}.
type template map[string]any

// root is where the root template lies, seen from this package.
const root = "../template.yaml"

var loaded sync.Map // path to template; read by many, written by none

func load(path string) (template, error) {
	if t, ok := loaded.Load(path); ok {
		return t.(template), nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	t, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	loaded.Store(path, t)
	return t, nil
}

func parse(text []byte) (template, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) != 1 {
		return nil, fmt.Errorf("no document")
	}
	v, err := plain(doc.Content[0])
	if err != nil {
		return nil, err
	}
	t, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("no mapping")
	}
	return t, nil
}

// plain makes of a node a string, a bool, a []any or a map[string]any. Numbers
// stay strings: that is how CloudFormation compares and joins them.
func plain(n *yaml.Node) (any, error) {
	v, err := untagged(n)
	if err != nil || !strings.HasPrefix(n.Tag, "!") || strings.HasPrefix(n.Tag, "!!") {
		return v, err
	}
	switch name := n.Tag[1:]; name {
	case "Ref", "Condition":
		return map[string]any{name: v}, nil
	default:
		return map[string]any{"Fn::" + name: v}, nil
	}
}

func untagged(n *yaml.Node) (any, error) {
	switch n.Kind {
	case yaml.ScalarNode:
		if n.Tag == "!!bool" {
			return n.Value == "true", nil
		}
		return n.Value, nil
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, c := range n.Content {
			var err error
			if list[i], err = plain(c); err != nil {
				return nil, err
			}
		}
		return list, nil
	case yaml.MappingNode:
		return mapping(n)
	}
	return nil, fmt.Errorf("line %d: anchors are not for templates", n.Line)
}

func mapping(n *yaml.Node) (any, error) {
	m := map[string]any{}
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		if _, twice := m[key.Value]; twice {
			return nil, fmt.Errorf("line %d: %s is there twice", key.Line, key.Value)
		}
		v, err := plain(n.Content[i+1])
		if err != nil {
			return nil, err
		}
		m[key.Value] = v
	}
	return m, nil
}

// section is one of the template's parts; empty if it is not there.
func (t template) section(name string) map[string]any { return object(t[name]) }

// object, list and text are v as what it is to be, else empty.
func object(v any) map[string]any { m, _ := v.(map[string]any); return m }
func list(v any) []any            { l, _ := v.([]any); return l }
func text(v any) string           { s, _ := v.(string); return s }

// at follows keys from object to object.
func at(v any, keys ...string) any {
	for _, key := range keys {
		v = object(v)[key]
	}
	return v
}
