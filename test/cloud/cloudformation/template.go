// Package cloudformation renders templates as CloudFormation does: parameters,
// rules, conditions, mappings and functions. The tests of infra render whole
// deployments by it, and the stand-in for AWS each stack that it makes (Serve).
// A function that it does not know is an error, as is what CloudFormation would
// refuse, in CloudFormation's words where the stand-in passes them on.
package cloudformation

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

// Template is a file's content, with functions in their long form: !Ref x is {"Ref": "x"}.
type Template map[string]any

var loaded sync.Map // path to template; read by many, written by none

// Load reads the file of a template, once. Nobody may change what it returns.
func Load(path string) (Template, error) {
	if t, ok := loaded.Load(path); ok {
		return t.(Template), nil
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

func parse(text []byte) (Template, error) {
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

// Section is one of the template's parts; empty if it is not there.
func (t Template) Section(name string) map[string]any { return Object(t[name]) }

// Object, List and Text are v as what it is to be, else empty.
func Object(v any) map[string]any { m, _ := v.(map[string]any); return m }
func List(v any) []any            { l, _ := v.([]any); return l }
func Text(v any) string           { s, _ := v.(string); return s }

// At follows keys from object to object.
func At(v any, keys ...string) any {
	for _, key := range keys {
		v = Object(v)[key]
	}
	return v
}
