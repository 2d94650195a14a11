package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// under is the folder of a bucket that holds artefacts: cmd/cloud uploads them there, too.
const under = "culvert/"

// artefacts are the files that a deployment takes from a bucket: the functions' and the layer's archives, and the
// templates that are nested. Each is named by its SHA-256, so that whoever has the root template has the checksums.
type artefacts struct {
	folder string
}

// put keeps a file, and gives its name there.
func (a artefacts) put(data []byte, suffix string) (string, error) {
	name := fmt.Sprintf("%x%s", sha256.Sum256(data), suffix)
	return name, os.WriteFile(filepath.Join(a.folder, name), data, 0o644)
}

// uploads names the archives by architecture and by the resource of the root template that is made of each.
type uploads map[string]map[string]string

// layer is the resource of the origin's layer; all others are functions.
const layer = "OriginLayer"

// packer makes templates that take all else from the bucket that the parameter Artifacts names, so that
// CloudFormation needs no more than the root template's address.
type packer struct {
	artefacts
	uploads uploads
	done    map[string]nested // by the path of the template
}

// nested is a template that is packed.
type nested struct {
	name  string // among the artefacts
	nests bool   // whether it needs the bucket for those that it nests
	takes bool   // whether it has the parameter LayerSum
}

// root packs the root template and all that it nests.
func (p packer) root(path string) ([]byte, error) {
	t, err := readTemplate(path)
	if err != nil {
		return nil, err
	}
	if err := p.uploaded(t); err != nil {
		return nil, err
	}
	if _, err := p.nest(path, t); err != nil {
		return nil, err
	}
	t.needArtifacts()
	return t.text()
}

// uploaded has functions and layer come from the bucket.
func (p packer) uploaded(t template) error {
	mapping := node("{}")
	for _, arch := range architectures {
		names := node("{}")
		for _, f := range append(functionResources(), layer) {
			set(names, f, node(under+p.uploads[arch][f]))
		}
		set(names, "LayerSum", node(strings.TrimSuffix(p.uploads[arch][layer], ".zip")))
		set(mapping, arch, names)
	}
	if get(t.section("Mappings"), "Artifact") != nil {
		return fmt.Errorf("template.yaml has a mapping Artifact: the release would replace it")
	}
	set(t.section("Mappings"), "Artifact", mapping)
	remove(get(t.section("Globals"), "Function"), "CodeUri")
	for property, names := range map[string][]string{"CodeUri": functionResources(), "ContentUri": {layer}} {
		for _, name := range names {
			r := get(t.section("Resources"), name)
			if r == nil {
				return fmt.Errorf("template.yaml has no %s", name)
			}
			remove(r, "Metadata") // how to build it
			set(get(r, "Properties"), property, node("{ Bucket: !Ref Artifacts, Key: !FindInMap [Artifact, !Ref Architecture, "+name+"] }"))
		}
	}
	return nil
}

// nest packs what t nests, and says whether it nests anything.
func (p packer) nest(path string, t template) (nests bool, err error) {
	resources := t.section("Resources")
	for i := 1; i < len(resources.Content); i += 2 {
		r := resources.Content[i]
		if get(r, "Type").Value != "AWS::CloudFormation::Stack" {
			continue
		}
		properties := get(r, "Properties")
		child, err := p.child(filepath.Join(filepath.Dir(path), get(properties, "TemplateURL").Value))
		if err != nil {
			return false, err
		}
		nests = true
		set(properties, "TemplateURL", node("!Sub https://${Artifacts}.s3.${AWS::Region}.${AWS::URLSuffix}/"+under+child.name))
		if child.nests {
			set(get(properties, "Parameters"), "Artifacts", node("!Ref Artifacts"))
		}
		if child.takes {
			set(get(properties, "Parameters"), "LayerSum", node("!FindInMap [Artifact, !Ref Architecture, LayerSum]"))
		}
	}
	return nests, nil
}

// child packs a nested template, once.
func (p packer) child(path string) (nested, error) {
	if c, ok := p.done[path]; ok {
		return c, nil
	}
	t, err := readTemplate(path)
	if err != nil {
		return nested{}, err
	}
	var c nested
	if c.nests, err = p.nest(path, t); err != nil {
		return c, err
	}
	if c.nests {
		t.needArtifacts()
	}
	c.takes = get(t.section("Parameters"), "LayerSum") != nil
	text, err := t.text()
	if err != nil {
		return c, err
	}
	c.name, err = p.put(text, ".yaml")
	p.done[path] = c
	return c, err
}

// template is one of CloudFormation's. Its functions' short forms and its comments stay as they are.
type template struct{ document *yaml.Node }

func readTemplate(path string) (template, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return template{}, err
	}
	t := template{&yaml.Node{}}
	if err := yaml.Unmarshal(data, t.document); err != nil {
		return t, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	if get(t.document, "Resources") == nil {
		return t, fmt.Errorf("%s has no resources", filepath.Base(path))
	}
	return t, nil
}

// section is one of the template's, which may be new.
func (t template) section(name string) *yaml.Node {
	if get(t.document, name) == nil {
		set(t.document, name, node("{}"))
	}
	return get(t.document, name)
}

// needArtifacts gives the template the parameter that names the bucket.
func (t template) needArtifacts() {
	set(t.section("Parameters"), "Artifacts", node(`{ Type: String, AllowedPattern: "[a-z0-9][a-z0-9-]{1,61}[a-z0-9]",
  Description: The bucket with what the release publishes. It has to be in this region,
  ConstraintDescription: Give the name of a bucket without dots in it }`))
}

func (t template) text() ([]byte, error) {
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(t.document); err != nil {
		return nil, err
	}
	return out.Bytes(), e.Close()
}

// node is a value as YAML writes it, which is ours and therefore right.
func node(text string) *yaml.Node {
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		panic(err)
	}
	return document.Content[0]
}

// content is a mapping's own, also where a document holds it.
func content(mapping *yaml.Node) *yaml.Node {
	if mapping != nil && mapping.Kind == yaml.DocumentNode {
		return mapping.Content[0]
	}
	return mapping
}

// get is nil for what is not there.
func get(mapping *yaml.Node, key string) *yaml.Node {
	if mapping = content(mapping); mapping == nil {
		return nil
	}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

func set(mapping *yaml.Node, key string, value *yaml.Node) {
	remove(mapping, key)
	mapping = content(mapping)
	mapping.Content = append(mapping.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, value)
}

func remove(mapping *yaml.Node, key string) {
	if mapping = content(mapping); mapping == nil {
		return
	}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			mapping.Content = append(mapping.Content[:i:i], mapping.Content[i+2:]...)
			return
		}
	}
}
