package infra

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
var functions map[string]func(*stack, any) (any, error)

func init() {
	functions = map[string]func(*stack, any) (any, error){
		"Ref":           (*stack).ref,
		"Condition":     func(s *stack, arg any) (any, error) { return s.condition(text(arg)) },
		"Fn::And":       (*stack).and,
		"Fn::Base64":    (*stack).base64,
		"Fn::Contains":  (*stack).contains,
		"Fn::Equals":    (*stack).equals,
		"Fn::FindInMap": (*stack).findInMap,
		"Fn::GetAtt":    (*stack).getAtt,
		"Fn::If":        (*stack).ifElse,
		"Fn::Join":      (*stack).join,
		"Fn::Not":       (*stack).not,
		"Fn::Or":        (*stack).or,
		"Fn::Select":    (*stack).selectOne,
		"Fn::Split":     (*stack).split,
		"Fn::Sub":       (*stack).sub,
	}
}

// evaluate works out all functions in v.
func (s *stack) evaluate(v any) (any, error) {
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

func (s *stack) members(m map[string]any) (any, error) {
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

func (s *stack) elements(l []any) ([]any, error) {
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
func (s *stack) arguments(arg any, n int) ([]any, error) {
	if len(list(arg)) != n {
		return nil, fmt.Errorf("got %d arguments, want %d", len(list(arg)), n)
	}
	out := make([]any, n)
	for i, v := range list(arg) {
		var err error
		if out[i], err = s.evaluate(v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *stack) truths(arg any) ([]bool, error) {
	var out []bool
	for _, v := range list(arg) {
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

func (s *stack) and(arg any) (any, error) {
	all, err := s.truths(arg)
	return !slices.Contains(all, false), err
}

func (s *stack) or(arg any) (any, error) {
	all, err := s.truths(arg)
	return slices.Contains(all, true), err
}

func (s *stack) not(arg any) (any, error) {
	all, err := s.truths(arg)
	if err == nil && len(all) != 1 {
		err = fmt.Errorf("not: got %d arguments, want 1", len(all))
	}
	return err == nil && !all[0], err
}

func (s *stack) equals(arg any) (any, error) {
	a, err := s.arguments(arg, 2)
	if err != nil {
		return nil, err
	}
	return reflect.DeepEqual(a[0], a[1]), nil
}

func (s *stack) contains(arg any) (any, error) {
	a, err := s.arguments(arg, 2)
	if err != nil {
		return nil, err
	}
	return slices.Contains(list(a[0]), a[1]), nil
}

func (s *stack) ifElse(arg any) (any, error) {
	l := list(arg)
	if len(l) != 3 {
		return nil, fmt.Errorf("if: got %d arguments, want 3", len(l))
	}
	yes, err := s.condition(text(l[0]))
	switch {
	case err != nil:
		return nil, err
	case yes.(bool):
		return s.evaluate(l[1])
	}
	return s.evaluate(l[2])
}

func (s *stack) base64(arg any) (any, error) {
	v, err := s.evaluate(arg)
	return base64.StdEncoding.EncodeToString([]byte(text(v))), err
}

func (s *stack) join(arg any) (any, error) {
	a, err := s.arguments(arg, 2)
	if err != nil {
		return nil, err
	}
	words := []string{}
	for _, v := range list(a[1]) {
		word, ok := v.(string)
		if !ok {
			return nil, fmt.Errorf("join: %v is no text", v)
		}
		words = append(words, word)
	}
	return strings.Join(words, text(a[0])), nil
}

func (s *stack) split(arg any) (any, error) {
	a, err := s.arguments(arg, 2)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for word := range strings.SplitSeq(text(a[1]), text(a[0])) {
		out = append(out, word)
	}
	return out, nil
}

func (s *stack) selectOne(arg any) (any, error) {
	a, err := s.arguments(arg, 2)
	if err != nil {
		return nil, err
	}
	i, err := strconv.Atoi(text(a[0]))
	if err != nil || i < 0 || i >= len(list(a[1])) {
		return nil, fmt.Errorf("select: no element %v of %v", a[0], a[1])
	}
	return list(a[1])[i], nil
}

// findInMap takes a default only where the language extensions are.
func (s *stack) findInMap(arg any) (any, error) {
	n := len(list(arg))
	extended := n == 4 && s.template["Transform"] == "AWS::LanguageExtensions"
	if n != 3 && !extended {
		return nil, fmt.Errorf("findInMap: got %d arguments", n)
	}
	a, err := s.arguments(arg, n)
	if err != nil {
		return nil, err
	}
	v := at(s.template["Mappings"], text(a[0]), text(a[1]), text(a[2]))
	if v == nil && extended {
		v = at(a[3], "DefaultValue")
	}
	if v == nil {
		return nil, fmt.Errorf("findInMap: no %v", a)
	}
	return v, nil
}

// sub puts values in place of ${names}; ${!x} is ${x}.
func (s *stack) sub(arg any) (any, error) {
	format, given := text(arg), map[string]any{}
	if l := list(arg); len(l) == 2 {
		format, given = text(l[0]), object(l[1])
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

func (s *stack) variable(name string, given map[string]any) (string, error) {
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
