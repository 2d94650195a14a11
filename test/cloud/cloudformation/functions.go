package cloudformation

import (
	"encoding/base64"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// noValue is AWS::NoValue: what is it is left out.
type noValue struct{}

// functions are those that templates may use; any other is an error. A function
// gets its argument as it is written.
var functions map[string]func(*Stack, any) (any, error)

func init() {
	functions = map[string]func(*Stack, any) (any, error){
		"Ref":           (*Stack).ref,
		"Condition":     func(s *Stack, arg any) (any, error) { return s.condition(Text(arg)) },
		"Fn::And":       (*Stack).and,
		"Fn::Base64":    (*Stack).base64,
		"Fn::Contains":  (*Stack).contains,
		"Fn::Equals":    (*Stack).equals,
		"Fn::FindInMap": (*Stack).findInMap,
		"Fn::GetAtt":    (*Stack).getAtt,
		"Fn::If":        (*Stack).ifElse,
		"Fn::Join":      (*Stack).join,
		"Fn::Not":       (*Stack).not,
		"Fn::Or":        (*Stack).or,
		"Fn::Select":    (*Stack).selectOne,
		"Fn::Split":     (*Stack).split,
		"Fn::Sub":       (*Stack).sub,
	}
}

// evaluate works out all functions in v.
func (s *Stack) evaluate(v any) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		for name, arg := range v {
			if f, ok := functions[name]; ok && len(v) == 1 {
				return f(s, arg)
			}
			if name == "Ref" || strings.HasPrefix(name, "Fn::") {
				return nil, fmt.Errorf("%s is no function known here, or does not stand alone", name)
			}
		}
		return s.members(v)
	case []any:
		return s.elements(v)
	}
	return v, nil
}

func (s *Stack) members(m map[string]any) (any, error) {
	out := map[string]any{}
	for key, v := range m {
		done, err := s.evaluate(v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		if done != (noValue{}) {
			out[key] = done
		}
	}
	return out, nil
}

func (s *Stack) elements(l []any) ([]any, error) {
	out := []any{}
	for _, v := range l {
		done, err := s.evaluate(v)
		if err != nil {
			return nil, err
		}
		if done != (noValue{}) {
			out = append(out, done)
		}
	}
	return out, nil
}

// arguments are a function's, n of them, worked out.
func (s *Stack) arguments(arg any, n int) ([]any, error) {
	if len(List(arg)) != n {
		return nil, fmt.Errorf("got %d arguments, want %d", len(List(arg)), n)
	}
	out := make([]any, n)
	for i, v := range List(arg) {
		var err error
		if out[i], err = s.evaluate(v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *Stack) truths(arg any) ([]bool, error) {
	var out []bool
	for _, v := range List(arg) {
		done, err := s.evaluate(v)
		if err != nil {
			return nil, err
		}
		b, ok := done.(bool)
		if !ok {
			return nil, fmt.Errorf("%v is no condition", v)
		}
		out = append(out, b)
	}
	return out, nil
}

func (s *Stack) and(arg any) (any, error) {
	all, err := s.truths(arg)
	return !slices.Contains(all, false), err
}

func (s *Stack) or(arg any) (any, error) {
	all, err := s.truths(arg)
	return slices.Contains(all, true), err
}

func (s *Stack) not(arg any) (any, error) {
	all, err := s.truths(arg)
	if err == nil && len(all) != 1 {
		err = fmt.Errorf("not: got %d arguments, want 1", len(all))
	}
	return err == nil && !all[0], err
}

func (s *Stack) equals(arg any) (any, error) {
	a, err := s.arguments(arg, 2)
	if err != nil {
		return nil, err
	}
	return reflect.DeepEqual(a[0], a[1]), nil
}

func (s *Stack) contains(arg any) (any, error) {
	a, err := s.arguments(arg, 2)
	if err != nil {
		return nil, err
	}
	return slices.Contains(List(a[0]), a[1]), nil
}

func (s *Stack) ifElse(arg any) (any, error) {
	l := List(arg)
	if len(l) != 3 {
		return nil, fmt.Errorf("if: got %d arguments, want 3", len(l))
	}
	yes, err := s.condition(Text(l[0]))
	switch {
	case err != nil:
		return nil, err
	case yes.(bool):
		return s.evaluate(l[1])
	}
	return s.evaluate(l[2])
}

func (s *Stack) base64(arg any) (any, error) {
	v, err := s.evaluate(arg)
	return base64.StdEncoding.EncodeToString([]byte(Text(v))), err
}

func (s *Stack) join(arg any) (any, error) {
	a, err := s.arguments(arg, 2)
	if err != nil {
		return nil, err
	}
	words := []string{}
	for _, v := range List(a[1]) {
		word, ok := v.(string)
		if !ok {
			return nil, fmt.Errorf("join: %v is no text", v)
		}
		words = append(words, word)
	}
	return strings.Join(words, Text(a[0])), nil
}

func (s *Stack) split(arg any) (any, error) {
	a, err := s.arguments(arg, 2)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for word := range strings.SplitSeq(Text(a[1]), Text(a[0])) {
		out = append(out, word)
	}
	return out, nil
}

func (s *Stack) selectOne(arg any) (any, error) {
	a, err := s.arguments(arg, 2)
	if err != nil {
		return nil, err
	}
	i, err := strconv.Atoi(Text(a[0]))
	if err != nil || i < 0 || i >= len(List(a[1])) {
		return nil, fmt.Errorf("select: no element %v of %v", a[0], a[1])
	}
	return List(a[1])[i], nil
}

// findInMap takes a default only where the language extensions are.
func (s *Stack) findInMap(arg any) (any, error) {
	n := len(List(arg))
	extended := n == 4 && s.template["Transform"] == "AWS::LanguageExtensions"
	if n != 3 && !extended {
		return nil, fmt.Errorf("findInMap: got %d arguments", n)
	}
	a, err := s.arguments(arg, n)
	if err != nil {
		return nil, err
	}
	v := At(s.template["Mappings"], Text(a[0]), Text(a[1]), Text(a[2]))
	if v == nil && extended {
		v = At(a[3], "DefaultValue")
	}
	if v == nil {
		return nil, fmt.Errorf("findInMap: no %v", a)
	}
	return v, nil
}

// sub puts values in place of ${names}; ${!x} is ${x}.
func (s *Stack) sub(arg any) (any, error) {
	format, given := Text(arg), map[string]any{}
	if l := List(arg); len(l) == 2 {
		format, given = Text(l[0]), Object(l[1])
	}
	if format == "" {
		return nil, fmt.Errorf("sub: no text in %v", arg)
	}
	before, rest, found := strings.Cut(format, "${")
	out := before
	for found {
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return nil, fmt.Errorf("sub: ${%s is not closed", rest)
		}
		v, err := s.variable(name, given)
		if err != nil {
			return nil, fmt.Errorf("sub: %w", err)
		}
		before, rest, found = strings.Cut(after, "${")
		out += v + before
	}
	return out, nil
}

func (s *Stack) variable(name string, given map[string]any) (string, error) {
	var v any
	var err error
	literal, isLiteral := strings.CutPrefix(name, "!")
	value, isGiven := given[name]
	switch {
	case isLiteral:
		return "${" + literal + "}", nil
	case isGiven:
		v, err = s.evaluate(value)
	case strings.Contains(name, "."):
		v, err = s.getAtt(name)
	default:
		v, err = s.ref(name)
	}
	if word, ok := v.(string); ok || err != nil {
		return word, err
	}
	return "", fmt.Errorf("%s is no text", name)
}
