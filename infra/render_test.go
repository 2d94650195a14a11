package infra

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// stack is a template with its parameters, as CloudFormation would see it.
type stack struct {
	path       string
	name       string // a nested one's is its parent's and its own
	region     string
	template   template
	parameters map[string]any // a string, or a []any for lists
	conditions map[string]bool
	nested     map[string]*stack // nil while it is being rendered
	resources  []resource        // those that there are, without nested ones'
	outputs    map[string]any
}

// resource is one that there is, with all functions worked out. What AWS makes
// up stands as <stack.Name> or <stack.Name.Attribute>.
type resource struct {
	stack      *stack
	name       string
	kind       string
	properties map[string]any
	attributes map[string]any // all beside Type and Properties
}

func (r resource) String() string { return r.stack.name + "." + r.name }

// render makes the root stack in region. It fails if a rule refuses.
func render(region string, chosen map[string]string) (*stack, error) {
	given := map[string]any{}
	for key, v := range chosen {
		given[key] = v
	}
	return renderFile(root, "culvert", region, given)
}

func renderFile(path, name, region string, given map[string]any) (*stack, error) {
	t, err := load(path)
	if err != nil {
		return nil, err
	}
	s := &stack{path: path, name: name, region: region, template: t, parameters: map[string]any{},
		conditions: map[string]bool{}, nested: map[string]*stack{}, outputs: map[string]any{}}
	for _, step := range []func() error{func() error { return s.setParameters(given) }, s.checkRules, s.renderResources, s.renderOutputs} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return s, nil
}

func (s *stack) renderResources() error {
	for _, name := range slices.Sorted(maps.Keys(s.template.section("Resources"))) {
		if err := s.renderResource(name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (s *stack) renderOutputs() error {
	for name, o := range s.template.section("Outputs") {
		there, err := s.wanted(object(o))
		if err != nil {
			return err
		}
		if !there {
			continue
		}
		if s.outputs[name], err = s.evaluate(object(o)["Value"]); err != nil {
			return fmt.Errorf("output %s: %w", name, err)
		}
	}
	return nil
}

// all are the resources of the stack and those nested in it.
func (s *stack) all() []resource {
	out := slices.Clone(s.resources)
	for _, name := range slices.Sorted(maps.Keys(s.nested)) {
		out = append(out, s.nested[name].all()...)
	}
	return out
}

// of are all resources of one kind.
func (s *stack) of(kind string) []resource {
	return slices.DeleteFunc(s.all(), func(r resource) bool { return r.kind != kind })
}

// wanted says whether the condition of a resource or output, if any, holds.
func (s *stack) wanted(entry map[string]any) (bool, error) {
	name, ok := entry["Condition"].(string)
	if !ok {
		return true, nil
	}
	yes, err := s.condition(name)
	return err == nil && yes.(bool), err
}

func (s *stack) condition(name string) (any, error) {
	if yes, ok := s.conditions[name]; ok {
		return yes, nil
	}
	body, ok := s.template.section("Conditions")[name]
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

// pseudo are CloudFormation's own parameters.
func (s *stack) pseudo(name string) (any, bool) {
	v, ok := map[string]any{
		"AWS::AccountId": "111122223333",
		"AWS::NoValue":   noValue{},
		"AWS::Partition": "aws",
		"AWS::Region":    s.region,
		"AWS::StackId":   "arn:aws:cloudformation:" + s.region + ":111122223333:stack/" + s.name + "/0a1b2c3d",
		"AWS::StackName": s.name,
		"AWS::URLSuffix": "amazonaws.com",
	}[name]
	return v, ok
}

func (s *stack) ref(arg any) (any, error) {
	name := text(arg)
	if v, ok := s.pseudo(name); ok {
		return v, nil
	}
	if v, ok := s.parameters[name]; ok {
		return v, nil
	}
	return s.made(name, "")
}

func (s *stack) getAtt(arg any) (any, error) {
	path := text(arg)
	if l := list(arg); len(l) == 2 {
		path = text(l[0]) + "." + text(l[1])
	}
	name, attribute, _ := strings.Cut(path, ".")
	output, isOutput := strings.CutPrefix(attribute, "Outputs.")
	if !isOutput {
		return s.made(name, "."+attribute)
	}
	child, err := s.child(name)
	if err != nil {
		return nil, err
	}
	v, ok := child.outputs[output]
	if !ok {
		return nil, fmt.Errorf("%s has no output %s", name, output)
	}
	return v, nil
}

// made stands for what AWS makes up for a resource, which must be there.
func (s *stack) made(name, attribute string) (any, error) {
	entry, ok := s.template.section("Resources")[name]
	if !ok {
		return nil, fmt.Errorf("there is no %q to refer to", name)
	}
	there, err := s.wanted(object(entry))
	if err == nil && !there {
		err = fmt.Errorf("%s is referred to, but not there", name)
	}
	if err != nil {
		return nil, err
	}
	return "<" + s.name + "." + name + attribute + ">", nil
}

// renderResource renders the resource if it is to be there.
func (s *stack) renderResource(name string) error {
	entry := object(s.template.section("Resources")[name])
	there, err := s.wanted(entry)
	if err != nil || !there {
		return err
	}
	v, err := s.evaluate(s.withGlobals(entry))
	if err != nil {
		return err
	}
	r := resource{stack: s, name: name, kind: text(at(v, "Type")), properties: object(at(v, "Properties")), attributes: object(v)}
	s.resources = append(s.resources, r)
	if r.kind == nestedKind {
		_, err = s.child(name)
	}
	return err
}

const nestedKind = "AWS::CloudFormation::Stack"

// child renders a nested stack once, when its outputs are asked for or it is
// its turn.
func (s *stack) child(name string) (*stack, error) {
	if c, ok := s.nested[name]; ok {
		if c == nil {
			return nil, fmt.Errorf("%s needs itself", name)
		}
		return c, nil
	}
	entry := object(s.template.section("Resources")[name])
	there, err := s.wanted(entry)
	if err == nil && (!there || entry["Type"] != nestedKind) {
		err = fmt.Errorf("there is no nested stack %s", name)
	}
	if err != nil {
		return nil, err
	}
	s.nested[name] = nil
	properties, err := s.evaluate(entry["Properties"])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	path := filepath.Join(filepath.Dir(s.path), text(at(properties, "TemplateURL")))
	c, err := renderFile(path, s.name+"-"+name, s.region, object(at(properties, "Parameters")))
	s.nested[name] = c
	return c, err
}

// withGlobals gives a SAM function what all of them have.
func (s *stack) withGlobals(entry map[string]any) map[string]any {
	globals := object(s.template.section("Globals")["Function"])
	if entry["Type"] != "AWS::Serverless::Function" || globals == nil {
		return entry
	}
	merged, properties := maps.Clone(entry), maps.Clone(globals)
	maps.Copy(properties, object(entry["Properties"]))
	merged["Properties"] = properties
	return merged
}
