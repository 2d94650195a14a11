package gate_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"hash"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"culvert/edge/gate"

	"github.com/dop251/goja"
)

// visit is a request as CloudFront shows it to functions, and when it comes.
type visit struct {
	Now     int64          `json:"now"` // ms
	Request map[string]any `json:"request"`
}

// outcome is the request that goes on, and the origin if the function chose one.
type outcome struct {
	Request map[string]any `json:"request"`
	Origin  string         `json:"origin"`
	Hashes  int            `json:"hashes"` // computed, where that is counted
}

// An engine runs a script and returns the value of its last statement, result.
type engine func(t testing.TB, script string) (result string)

// run lets the function see the visits, one after the other.
func run(t testing.TB, e engine, texts string, visits ...visit) []outcome {
	t.Helper()
	shown, err := json.Marshal(visits)
	if err != nil {
		t.Fatal(err)
	}
	const cloudfront = "let origin;\nconst cf = {selectRequestOriginById: id => { origin = id; }};"
	script := strings.Replace(gate.Code(texts), "import cf from 'cloudfront';", cloudfront, 1) + `
const visits = ` + string(shown) + `;
const result = JSON.stringify(visits.map(visit => {
  Date.now = () => visit.now;
  origin = '';
  return {request: handler({request: visit.request}), origin: origin};
}));
`
	var outcomes []outcome
	if err := json.Unmarshal([]byte(e(t, script)), &outcomes); err != nil || len(outcomes) != len(visits) {
		t.Fatalf("got %d outcomes of %d visits: %v", len(outcomes), len(visits), err)
	}
	return outcomes
}

// inGo is goja with Go's cryptography.
func inGo(t testing.TB, script string) string {
	t.Helper()
	vm := goja.New()
	vm.Set("newHash", sha256.New)
	vm.Set("newHMAC", func(key []byte) hash.Hash { return hmac.New(sha256.New, key) })
	vm.Set("write", func(h hash.Hash, b []byte) { h.Write(b) })
	vm.Set("sum", func(h hash.Hash) goja.ArrayBuffer { return vm.NewArrayBuffer(h.Sum(nil)) })
	vm.Set("utf8", func(s string) goja.ArrayBuffer { return vm.NewArrayBuffer([]byte(s)) })
	vm.Set("base64url", func(s string) goja.ArrayBuffer {
		b, _ := base64.RawURLEncoding.DecodeString(s) // what the engines do with bad input is not asked for
		return vm.NewArrayBuffer(b)
	})
	const modules = `
const bytes = data => typeof data === 'string' ? new Uint8Array(utf8(data)) : data;
const digesting = h => ({update(data) { write(h, bytes(data)); return this; }, digest: () => new Uint8Array(sum(h))});
const crypto = {createHash: () => digesting(newHash()), createHmac: (_, key) => digesting(newHMAC(key))};
const Buffer = {from: text => new Uint8Array(base64url(text))};
Uint8Array.prototype.readUInt32BE = function (at) { return new DataView(this.buffer).getUint32(at); };
`
	if _, err := vm.RunString(strings.Replace(script, "import crypto from 'crypto';", modules, 1)); err != nil {
		t.Fatal(err)
	}
	value, err := vm.RunString("result")
	if err != nil {
		t.Fatal(err)
	}
	return value.String()
}

// outside is an engine that is a program: node, or njs, which CloudFront's
// runtime is made of. Without CULVERT_REAL it may be missing.
func outside(program string) engine {
	return func(t testing.TB, script string) string {
		t.Helper()
		path, err := exec.LookPath(program)
		if err != nil && os.Getenv("CULVERT_REAL") == "" {
			t.Skip(program + " is not installed")
		}
		file := filepath.Join(t.TempDir(), "gate.mjs")
		// In pieces, as njs prints 2,048 bytes of a line and no more.
		const printed = "for (let i = 0; i < result.length; i += 500) console.log(result.slice(i, i + 500));\n"
		if err := os.WriteFile(file, []byte(script+printed), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), path, file).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", program, err, out)
		}
		return strings.ReplaceAll(string(out), "\n", "")
	}
}
