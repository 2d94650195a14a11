package infra

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// setParameters checks what is given as CloudFormation does.
func (s *stack) setParameters(given map[string]any) error {
	declared := s.template.section("Parameters")
	for name := range given {
		if declared[name] == nil {
			return fmt.Errorf("there is no parameter %s", name)
		}
	}
	for name, d := range declared {
		v, ok := given[name]
		if !ok {
			v, ok = object(d)["Default"]
		}
		if !ok {
			return fmt.Errorf("parameter %s is missing", name)
		}
		if err := check(object(d), text(v)); err != nil {
			return fmt.Errorf("parameter %s is %q: %w", name, v, err)
		}
		s.parameters[name] = typed(object(d), text(v))
	}
	return nil
}

func typed(declared map[string]any, v string) any {
	if declared["Type"] != "CommaDelimitedList" {
		return v
	}
	out := []any{}
	for word := range strings.SplitSeq(v, ",") {
		out = append(out, word)
	}
	return out
}

func check(declared map[string]any, v string) error {
	if allowed := list(declared["AllowedValues"]); allowed != nil && !slices.Contains(allowed, any(v)) {
		return fmt.Errorf("not one of %v", allowed)
	}
	if pattern := text(declared["AllowedPattern"]); pattern != "" && !regexp.MustCompile("^(?:"+pattern+")$").MatchString(v) {
		return fmt.Errorf("%s", declared["ConstraintDescription"])
	}
	if declared["Type"] != "Number" {
		return nil
	}
	n, err := strconv.ParseFloat(v, 64)
	if err != nil {
		return err
	}
	for bound, beyond := range map[string]func(float64) bool{
		"MinValue": func(b float64) bool { return n < b },
		"MaxValue": func(b float64) bool { return n > b },
	} {
		if b, err := strconv.ParseFloat(text(declared[bound]), 64); err == nil && beyond(b) {
			return fmt.Errorf("%s is %v", bound, b)
		}
	}
	return nil
}

// checkRules says what the first rule says that does not hold.
func (s *stack) checkRules() error {
	for name, r := range s.template.section("Rules") {
		applies := any(true)
		var err error
		if c, ok := object(r)["RuleCondition"]; ok {
			applies, err = s.evaluate(c)
		}
		if err != nil {
			return fmt.Errorf("rule %s: %w", name, err)
		}
		if applies != true {
			continue
		}
		if err := s.assert(list(object(r)["Assertions"])); err != nil {
			return fmt.Errorf("rule %s: %w", name, err)
		}
	}
	return nil
}

func (s *stack) assert(assertions []any) error {
	for _, a := range assertions {
		holds, err := s.evaluate(at(a, "Assert"))
		if err != nil {
			return err
		}
		if holds != true {
			return fmt.Errorf("%s", at(a, "AssertDescription"))
		}
	}
	return nil
}
