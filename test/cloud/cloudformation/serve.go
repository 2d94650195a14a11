package cloudformation

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// question is what somebody wants to know of one stack, whose nested stacks are
// others of its own.
type question struct {
	Template   any            // after the SAM transform
	Parameters map[string]any // given ones: texts
	Pseudo     map[string]any // AWS::Region and so on
	Of         string         // a resource; if empty, the plan is asked for, and the outputs if Outputs is set
	Outputs    bool
}

// plan is what a stack will be, before anything is made.
type plan struct {
	Parameters map[string]any // with defaults
	Order      []string       // all resources, each after those that it refers to
	Wanted     []string       // those of them that there will be
}

// Serve answers questions until in ends, JSON values both ways: the plan, the
// properties of a resource, or the outputs. On the way to the latter two it asks
// what AWS made up, {"part": "Name", "attribute": "Arn"}, and reads {"value":
// "..."} for that. What CloudFormation would refuse is answered with {"refused":
// "why"}.
func Serve(in io.Reader, out io.Writer) error {
	read, write := json.NewDecoder(in), json.NewEncoder(out)
	read.UseNumber()
	for {
		var q question
		if err := read.Decode(&q); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		s := &Stack{pseudo: q.Pseudo, Outputs: map[string]any{}}
		s.made = func(name, attribute string) (v any, err error) {
			var answer struct {
				Value   any
				Refused string
			}
			err = errors.Join(write.Encode(map[string]string{"part": name, "attribute": attribute}), read.Decode(&answer))
			if answer.Refused != "" {
				err = errors.New(answer.Refused)
			}
			return answer.Value, err
		}
		answer, err := s.answer(q)
		if err != nil {
			answer = map[string]string{"refused": err.Error()}
		}
		if err := write.Encode(answer); err != nil {
			return err
		}
	}
}

func (s *Stack) answer(q question) (any, error) {
	t, ok := texts(q.Template).(map[string]any)
	if !ok {
		return nil, errors.New("no mapping")
	}
	if err := s.begin(t, q.Parameters); err != nil {
		return nil, err
	}
	switch {
	case q.Of != "":
		return s.evaluate(Object(s.template.Section("Resources")[q.Of])["Properties"])
	case q.Outputs:
		err := s.renderOutputs()
		return s.Outputs, err
	}
	return s.plan()
}

// texts makes numbers texts, as Load does.
func texts(v any) any {
	switch v := v.(type) {
	case json.Number:
		return v.String()
	case map[string]any:
		for key, inner := range v {
			v[key] = texts(inner)
		}
	case []any:
		for i, inner := range v {
			v[i] = texts(inner)
		}
	}
	return v
}

// plan is made of the conditions and references in the template alone.
func (s *Stack) plan() (plan, error) {
	p := plan{Parameters: s.parameters, Order: []string{}, Wanted: []string{}}
	resources, met := s.template.Section("Resources"), map[string]bool{}
	var visit func(names []string) error
	visit = func(names []string) error {
		for _, name := range names {
			if met[name] || resources[name] == nil {
				continue
			}
			met[name] = true
			if err := visit(references(resources[name])); err != nil {
				return err
			}
			there, err := s.wanted(Object(resources[name]))
			if err != nil {
				return err
			}
			p.Order = append(p.Order, name)
			if there {
				p.Wanted = append(p.Wanted, name)
			}
		}
		return nil
	}
	return p, visit(slices.Sorted(maps.Keys(resources)))
}

var substituted = regexp.MustCompile(`\$\{([A-Za-z0-9.:]+)}`)

// references are the names that a part of a template may refer to, whether
// these are resources or not.
func references(v any) (names []string) {
	for _, inner := range List(v) {
		names = append(names, references(inner)...)
	}
	for key, inner := range Object(v) {
		names = append(names, references(inner)...)
		first, _ := append(List(inner), inner)[0].(string) // of the arguments, or the only one
		switch key {
		case "Ref", "Fn::GetAtt":
			name, _, _ := strings.Cut(first, ".")
			names = append(names, name)
		case "DependsOn":
			names = append(names, first)
			for _, other := range List(inner) {
				names = append(names, Text(other))
			}
		case "Fn::Sub":
			for _, found := range substituted.FindAllStringSubmatch(first, -1) {
				name, _, _ := strings.Cut(found[1], ".")
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}
