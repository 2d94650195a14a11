package aws

import (
	"bytes"
	"strings"
	"testing"
)

// The real runner hands secrets to a program that opens them as files.
func TestAProgramReadsSecretsFromPipes(t *testing.T) {
	t.Parallel()
	got, err := Programs{}.Run(t.Context(), Call{Name: "cat", Args: []string{SecretFile(0), SecretFile(1)},
		Secrets: [][]byte{[]byte("one "), []byte("two")}})
	if err != nil || !bytes.Equal(got, []byte("one two")) {
		t.Errorf("got %q, %v, want %q", got, err, "one two")
	}
}

func TestAFailureSaysWhatTheProgramSaidAndNoValue(t *testing.T) {
	t.Parallel()
	_, err := Programs{}.Run(t.Context(), Call{Name: "sh", Args: []string{"-c", "echo broken >&2; exit 3", "--value", "hidden"}})
	if err == nil || !strings.Contains(err.Error(), "broken") || strings.Contains(err.Error(), "hidden") {
		t.Errorf("got %v", err)
	}
}
