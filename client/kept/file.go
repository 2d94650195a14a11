package kept

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"sync"
)

// maxFile bounds what a File holds, in bytes, as text.
const maxFile = 16 << 10

// fileVersion begins a File; a newer one has another number.
const fileVersion = "culvert kept 1\n"

// File holds something of one link's that only who has the link can read. Several goroutines may use one.
type File struct {
	path string
	aead cipher.AEAD
	mu   sync.Mutex // held while the file is read and replaced
}

// OpenFile is the file of that name and link in dir. mac is a MAC by a secret that the link alone has.
func OpenFile(dir, name string, mac func(label string, parts ...[]byte) []byte) *File {
	tag := mac("culvert 2 kept file "+name, nil)
	block, err := aes.NewCipher(mac("culvert 2 kept key "+name, nil))
	if err != nil {
		panic(err) // a MAC is as long as a key
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // AES has the block length of GCM
	}
	return &File{path: filepath.Join(dir, name+"-"+hex.EncodeToString(tag[:8])), aead: aead}
}

// Read is what the file holds; nil: there is none.
func (f *File) Read() (body []byte, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.read()
}

func (f *File) read() ([]byte, error) {
	text, err := readFile(f.path, maxFile)
	if err != nil || text == nil {
		return nil, err
	}
	sealed, ok := bytes.CutPrefix(text, []byte(fileVersion))
	switch {
	case !ok && bytes.HasPrefix(text, []byte("culvert kept ")):
		return nil, errNewer
	case !ok:
		return nil, errForeign
	}
	sealed, err = hex.DecodeString(string(bytes.TrimSuffix(sealed, []byte("\n"))))
	if err != nil {
		return nil, errForeign
	}
	body, err := f.aead.Open(nil, nil, sealed, []byte(fileVersion))
	if err != nil {
		return nil, errForeign
	}
	return body, nil
}

// Replace has the file hold body, unless another program has kept meanwhile what isNewer does not say of
// body. The file is whole at any moment: the old one, or the new.
func (f *File) Replace(body []byte, isNewer func(body, than []byte) bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if old, err := f.read(); err == nil && old != nil && !isNewer(body, old) {
		return nil
	}
	sealed := f.aead.Seal(nil, nil, body, []byte(fileVersion))
	if err := replaceFile(f.path, fmt.Appendf(nil, "%s%x\n", fileVersion, sealed)); err != nil {
		return fmt.Errorf("keep a file of the link: %w", err)
	}
	return nil
}
