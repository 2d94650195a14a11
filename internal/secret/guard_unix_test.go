//go:build unix

package secret

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"testing"
	"time"
)

// owned is what the system says of a file of somebody's.
type owned struct {
	mode fs.FileMode
	uid  int
}

func (o owned) Name() string       { return "link" }
func (o owned) Size() int64        { return 0 }
func (o owned) Mode() fs.FileMode  { return o.mode }
func (o owned) ModTime() time.Time { return time.Time{} }
func (o owned) IsDir() bool        { return false }
func (o owned) Sys() any           { return &syscall.Stat_t{Uid: uint32(o.uid)} }

// The link of a service is its user's alone, and root reads it, too, who installs the service and looks for what is
// wrong with it.
func TestAServicesLinkIsForItsUserAndForRoot(t *testing.T) {
	t.Parallel()
	me := os.Geteuid()
	for what, c := range map[string]struct {
		file    owned
		refused bool
	}{
		"by its user":           {owned{0o400, me}, false},
		"by another":            {owned{0o400, me + 1}, false},
		"by its owner, with 40": {owned{0o440, me}, true},
		"what everybody reads":  {owned{0o404, me + 1}, true},
	} {
		if err := check("link", c.file); errors.Is(err, ErrOpen) != c.refused {
			t.Errorf("%s: got %v, want refused %v", what, err, c.refused)
		}
	}
}
