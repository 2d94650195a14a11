package cloudformation

//lint:file-ignore ST1005 These errors are CloudFormation's, word for word.

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// setParameters checks what is given as CloudFormation does.
func (s *Stack) setParameters(given map[string]any) error {
	declared := s.template.Section("Parameters")
	for name := range given {
		if declared[name] == nil {
			return fmt.Errorf("Parameters: [%s] do not exist in the template", name)
		}
	}
	for name, d := range declared {
		v, ok := given[name]
		if !ok {
			v, ok = Object(d)["Default"]
		}
		if !ok {
			return fmt.Errorf("Parameters: [%s] must have values", name)
		}
		if problem := check(Object(d), Text(v)); problem != "" {
			return fmt.Errorf("Parameter '%s' %s, got %q", name, problem, v)
		}
		s.parameters[name] = typed(Object(d), Text(v))
	}
	return nil
}

// typed is a value as its parameter's type has it: a []any for a list.
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

// check says how a parameter's value must be, if it is not so.
func check(declared map[string]any, v string) string {
	if allowed := List(declared["AllowedValues"]); allowed != nil && !slices.Contains(allowed, any(v)) {
		return fmt.Sprintf("must be one of AllowedValues %v", allowed)
	}
	if pattern := Text(declared["AllowedPattern"]); pattern != "" && !regexp.MustCompile("^(?:"+pattern+")$").MatchString(v) {
		return fmt.Sprintf("failed to satisfy constraint: %s", cmp.Or(Text(declared["ConstraintDescription"]), pattern))
	}
	if declared["Type"] != "Number" {
		return ""
	}
	n, err := strconv.ParseFloat(v, 64)
	if err != nil {
		return "must be a number"
	}
	if least, err := strconv.ParseFloat(Text(declared["MinValue"]), 64); err == nil && n < least {
		return fmt.Sprintf("must be a number not less than %v", least)
	}
	if most, err := strconv.ParseFloat(Text(declared["MaxValue"]), 64); err == nil && n > most {
		return fmt.Sprintf("must be a number not greater than %v", most)
	}
	return ""
}

// checkRules says what the first rule says that does not hold.
func (s *Stack) checkRules() error {
	for name, r := range s.template.Section("Rules") {
		applies := any(true)
		var err error
		if c, ok := Object(r)["RuleCondition"]; ok {
			applies, err = s.evaluate(c)
		}
		if err != nil {
			return fmt.Errorf("rule %s: %w", name, err)
		}
		if applies != true {
			continue
		}
		if err := s.assert(List(Object(r)["Assertions"])); err != nil {
			return fmt.Errorf("rule %s: %w", name, err)
		}
	}
	return nil
}

// assert says what the first assertion says that does not hold.
func (s *Stack) assert(assertions []any) error {
	for _, a := range assertions {
		holds, err := s.evaluate(At(a, "Assert"))
		if err != nil {
			return err
		}
		if holds != true {
			return fmt.Errorf("Template error: rule assertion failed: %s", At(a, "AssertDescription"))
		}
	}
	return nil
}
