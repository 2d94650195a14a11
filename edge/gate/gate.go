// Package gate is the gate as CloudFront runs it: gate.js, whose comment says
// what it does. infra/embed puts it into the template; the tests here run it.
package gate

import (
	_ "embed"
	"strings"
)

//go:embed gate.js
var code string

// secrets is where the texts of the gate secrets go.
const secrets = "GATE_SECRETS"

// Code is the function with the texts of the gate secrets in it, the current
// one first and spaces between, or with whatever a template writes for them.
func Code(texts string) string { return strings.Replace(code, secrets, texts, 1) }
