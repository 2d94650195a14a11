// Package infra holds templates. Its tests render them as CloudFormation would, in every
// combination of what can be chosen, and look at what comes out.
package infra

import "culvert/test/cloud/cloudformation"

type (
	stack    = cloudformation.Stack
	resource = cloudformation.Resource
	template = cloudformation.Template
)

var (
	load   = cloudformation.Load
	object = cloudformation.Object
	list   = cloudformation.List
	text   = cloudformation.Text
	at     = cloudformation.At
)

// root is where the root template lies, seen from this package.
const root = "../template.yaml"

// render makes the root stack in region. It fails if a rule refuses.
func render(region string, chosen map[string]string) (*stack, error) {
	given := map[string]any{}
	for key, v := range chosen {
		given[key] = v
	}
	return cloudformation.Render(root, "culvert", region, given)
}
