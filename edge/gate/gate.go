// Package gate is the gate as CloudFront runs it: gate.js, whose comment says
// what it does, and the rules in token.js. infra/embed puts it into the template; the tests here run it.
package gate

import (
	_ "embed"
	"strings"
)

var (
	//go:embed gate.js
	handler string
	//go:embed token.js
	rules string
)

// secrets is where the texts of the gate secrets go.
const secrets = "GATE_SECRETS"

// Code is the function with the texts of the gate secrets in it, the current
// one first and spaces between, or with whatever a template writes for them.
// CloudFront takes one file that exports nothing.
func Code(texts string) string {
	return strings.Replace(handler, secrets, texts, 1) + "\n" + strings.ReplaceAll(rules, "\nexport ", "\n")
}
