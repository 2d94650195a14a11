package aws

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"
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

// A terminal sends Ctrl-C to both, and the program may have ended before we hear of it.
func TestAProgramThatCtrlCEndsFirstIsNoFailure(t *testing.T) {
	t.Parallel()
	for _, ends := range []string{"kill -INT $$", "exit 130"} {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		_, err := Programs{}.Run(ctx, Call{Name: "sh", Args: []string{"-c", ends}})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want that the context ended", ends, err)
		}
	}
}
