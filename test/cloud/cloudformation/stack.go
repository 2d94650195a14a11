package cloudformation

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// Stack is a template with its parameters, as CloudFormation would see it.
type Stack struct {
	Path      string // the template's file, for stacks that Render makes
	Name      string // a nested one's is its parent's and its own
	Nested    map[string]*Stack
	Resources []Resource // those that there are, without nested ones'
	Outputs   map[string]any

	region     string
	template   Template
	parameters map[string]any // a string, or a []any for lists
	conditions map[string]bool
	pseudo     map[string]any // CloudFormation's own parameters

	// made is what AWS made up for a resource, or for an attribute of it; the
	// attribute is "" for a Ref.
	made func(name, attribute string) (any, error)
}

// Resource is one that there is, with all functions worked out. What AWS makes
// up stands as <stack.Name> or <stack.Name.Attribute>.
type Resource struct {
	Stack      *Stack
	Name       string
	Kind       string
	Properties map[string]any
	Attributes map[string]any // all beside Type and Properties
}

func (r Resource) String() string { return r.Stack.Name + "." + r.Name }

// Render makes a stack of the name in a region from the template in a file and
// those that it nests, with these values for its parameters. It fails if a rule
// refuses.
func Render(path, name, region string, given map[string]any) (*Stack, error) {
	t, err := Load(path)
	if err != nil {
		return nil, err
	}
	s := &Stack{Path: path, Name: name, region: region, Nested: map[string]*Stack{}, Outputs: map[string]any{}}
	s.made = s.placeholder
	s.pseudo = map[string]any{
		"AWS::AccountId": "111122223333",
		"AWS::Region":    region,
		"AWS::StackId":   "arn:aws:cloudformation:" + region + ":111122223333:stack/" + name + "/0a1b2c3d",
		"AWS::StackName": name,
	}
	for _, step := range []func() error{func() error { return s.begin(t, given) }, s.renderResources, s.renderOutputs} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return s, nil
}

// begin checks what is given for the template, and what its rules say.
func (s *Stack) begin(t Template, given map[string]any) error {
	s.template, s.parameters, s.conditions = t, map[string]any{}, map[string]bool{}
	maps.Copy(s.pseudo, map[string]any{"AWS::NoValue": noValue{}, "AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com"})
	if err := s.setParameters(given); err != nil {
		return err
	}
	return s.checkRules()
}

func (s *Stack) renderResources() error {
	for _, name := range slices.Sorted(maps.Keys(s.template.Section("Resources"))) {
		if err := s.renderResource(name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (s *Stack) renderOutputs() error {
	for name, o := range s.template.Section("Outputs") {
		there, err := s.wanted(Object(o))
		if err != nil {
			return err
		}
		if !there {
			continue
		}
		if s.Outputs[name], err = s.evaluate(Object(o)["Value"]); err != nil {
			return fmt.Errorf("output %s: %w", name, err)
		}
	}
	return nil
}

// All are the resources of the stack and those nested in it.
func (s *Stack) All() []Resource {
	out := slices.Clone(s.Resources)
	for _, name := range slices.Sorted(maps.Keys(s.Nested)) {
		out = append(out, s.Nested[name].All()...)
	}
	return out
}

// Of are all resources of one kind.
func (s *Stack) Of(kind string) []Resource {
	return slices.DeleteFunc(s.All(), func(r Resource) bool { return r.Kind != kind })
}

// wanted says whether the condition of a resource or output, if any, holds.
func (s *Stack) wanted(entry map[string]any) (bool, error) {
	name, ok := entry["Condition"].(string)
	if !ok {
		return true, nil
	}
	yes, err := s.condition(name)
	return err == nil && yes.(bool), err
}

func (s *Stack) condition(name string) (any, error) {
	if yes, ok := s.conditions[name]; ok {
		return yes, nil
	}
	body, ok := s.template.Section("Conditions")[name]
	if !ok {
		return nil, fmt.Errorf("there is no condition %q", name)
	}
	v, err := s.evaluate(body)
	if err != nil {
		return nil, fmt.Errorf("condition %s: %w", name, err)
	}
	s.conditions[name] = v.(bool)
	return v, nil
}

func (s *Stack) ref(arg any) (any, error) {
	name := Text(arg)
	if v, ok := s.pseudo[name]; ok {
		return v, nil
	}
	if v, ok := s.parameters[name]; ok {
		return v, nil
	}
	return s.make(name, "")
}

func (s *Stack) getAtt(arg any) (any, error) {
	path := Text(arg)
	if l := List(arg); len(l) == 2 {
		path = Text(l[0]) + "." + Text(l[1])
	}
	name, attribute, _ := strings.Cut(path, ".")
	return s.make(name, attribute)
}

// make asks for what AWS makes up for a resource, which must be there.
func (s *Stack) make(name, attribute string) (any, error) {
	entry, ok := s.template.Section("Resources")[name]
	if !ok {
		return nil, fmt.Errorf("Template error: unresolved reference [%s]: there is no such resource", name)
	}
	there, err := s.wanted(Object(entry))
	if err == nil && !there {
		err = fmt.Errorf("%s is referred to, but not there", name)
	}
	if err != nil {
		return nil, err
	}
	return s.made(name, attribute)
}

// placeholder stands for what AWS makes up. What a nested stack puts out is
// known.
func (s *Stack) placeholder(name, attribute string) (any, error) {
	output, isOutput := strings.CutPrefix(attribute, "Outputs.")
	if !isOutput {
		return "<" + strings.TrimSuffix(s.Name+"."+name+"."+attribute, ".") + ">", nil
	}
	child, err := s.child(name)
	if err != nil {
		return nil, err
	}
	v, ok := child.Outputs[output]
	if !ok {
		return nil, fmt.Errorf("%s has no output %s", name, output)
	}
	return v, nil
}

// renderResource renders the resource if it is to be there.
func (s *Stack) renderResource(name string) error {
	entry := Object(s.template.Section("Resources")[name])
	there, err := s.wanted(entry)
	if err != nil || !there {
		return err
	}
	v, err := s.evaluate(s.withGlobals(entry))
	if err != nil {
		return err
	}
	r := Resource{s, name, Text(At(v, "Type")), Object(At(v, "Properties")), Object(v)}
	s.Resources = append(s.Resources, r)
	if r.Kind == NestedKind {
		_, err = s.child(name)
	}
	return err
}

// NestedKind is the type of a stack in a stack.
const NestedKind = "AWS::CloudFormation::Stack"

// child renders a nested stack once, when its outputs are asked for or it is
// its turn.
func (s *Stack) child(name string) (*Stack, error) {
	if c, ok := s.Nested[name]; ok {
		if c == nil {
			return nil, fmt.Errorf("%s needs itself", name)
		}
		return c, nil
	}
	entry := Object(s.template.Section("Resources")[name])
	there, err := s.wanted(entry)
	if err == nil && (!there || entry["Type"] != NestedKind) {
		err = fmt.Errorf("there is no nested stack %s", name)
	}
	if err != nil {
		return nil, err
	}
	s.Nested[name] = nil
	properties, err := s.evaluate(entry["Properties"])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	path := filepath.Join(filepath.Dir(s.Path), Text(At(properties, "TemplateURL")))
	c, err := Render(path, s.Name+"-"+name, s.region, Object(At(properties, "Parameters")))
	s.Nested[name] = c
	return c, err
}

// withGlobals gives a SAM function what all of them have.
func (s *Stack) withGlobals(entry map[string]any) map[string]any {
	globals := Object(s.template.Section("Globals")["Function"])
	if entry["Type"] != "AWS::Serverless::Function" || globals == nil {
		return entry
	}
	merged, properties := maps.Clone(entry), maps.Clone(globals)
	maps.Copy(properties, Object(entry["Properties"]))
	merged["Properties"] = properties
	return merged
}
