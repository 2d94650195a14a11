// Package kept keeps what a client has learned of networks, and of its link's fronts in
// each, in a small private file. No name and no address is in it: networks and fronts
// have tags, which only who has the link can compare with a guess. What a file holds that
// somebody else wrote, that was cut or that is of a newer version is not believed.
package kept

import (
	"bytes"
	"crypto/hmac"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"
)

// Bounds of what is kept. Beyond them the network, or file, goes that was not used for longest.
const (
	maxNetworks = 16
	maxFronts   = 32        // of one network
	maxSize     = 256 << 10 // of the file
	maxFiles    = 32        // of one directory: each link has one, and links come and go
)

// version begins a file; a newer one has another number.
const version = "culvert learned 1"

// Front is what is known of a front in one network. Zero means that it is not known.
type Front struct {
	Small bool   `json:"small,omitempty"` // only a small ClientHello passes
	Look  string `json:"look,omitempty"`  // that passes, if the one to begin with does not

	Frozen int   `json:"frozen,omitempty"` // bytes that a connection brought which froze
	Limit  int   `json:"limit,omitempty"`  // bytes that one may bring
	Pause  int64 `json:"pause,omitempty"`  // seconds for which that is believed
	Until  int64 `json:"until,omitempty"`  // when it is tried again, in Unix seconds

	Rest int64 `json:"rest,omitempty"` // milliseconds after which a connection at rest is cut

	Minute      int   `json:"minute,omitempty"` // connections that may begin within a minute
	MinutePause int64 `json:"minute_pause,omitempty"`
	MinuteUntil int64 `json:"minute_until,omitempty"`

	VisitBytes int   `json:"visit_bytes,omitempty"` // that visits to its page have cost, and the pause since has not made up for
	VisitAt    int64 `json:"visit_at,omitempty"`    // when that was so, in Unix seconds
}

// Network is what is known of one network.
type Network struct {
	Used   int64            `json:"used"`           // day of its last use, counted from 1970
	Best   string           `json:"best,omitempty"` // tag of the front that was good last
	Fronts map[string]Front `json:"fronts,omitempty"`
}

// Store is the file of one link. Several goroutines may use one. Several programs may have the same
// file: who saves last is right.
type Store struct {
	path string
	mac  func(label string, parts ...[]byte) []byte

	mu       sync.Mutex // guards the following
	networks map[string]Network
	saved    []byte // what the file has
}

// Open reads the link's file in dir. mac is a MAC by a secret that the link alone has. The Store can be
// used whatever the error is, which says why what was kept is ignored. No file is none.
func Open(dir string, mac func(label string, parts ...[]byte) []byte) (*Store, error) {
	s := &Store{mac: mac, networks: map[string]Network{}}
	s.path = filepath.Join(dir, "learned-"+s.Tag("file", ""))
	body, err := s.read()
	if err != nil {
		return s, fmt.Errorf("what was learned of networks is ignored: %w", err)
	}
	s.saved = body
	return s, nil
}

// Tag is what stands for the name of something in the file.
func (s *Store) Tag(kind, name string) string {
	return hex.EncodeToString(s.mac("culvert 2 learned "+kind, []byte(name))[:8])
}

// Network is what is known of a network.
func (s *Store) Network(tag string) Network {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.networks[tag]
	n.Fronts = maps.Clone(n.Fronts)
	return n
}

// Put has a network known, in place of what was known of it before.
func (s *Store) Put(tag string, n Network, now time.Time) {
	n.Used = now.Unix() / (24 * 60 * 60)
	for tag := range n.Fronts {
		if len(n.Fronts) > maxFronts {
			delete(n.Fronts, tag)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.networks[tag] = n
	for len(s.networks) > maxNetworks {
		oldest := tag
		for _, other := range slices.Sorted(maps.Keys(s.networks)) {
			if other != tag && (oldest == tag || s.networks[other].Used < s.networks[oldest].Used) {
				oldest = other
			}
		}
		delete(s.networks, oldest)
	}
}

// Save writes what is new. The file is whole at any moment: the old one, or the new.
func (s *Store) Save() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, err := json.Marshal(s.networks)
	if err != nil || bytes.Equal(body, s.saved) {
		return err
	}
	if err := s.replace(body); err != nil {
		return fmt.Errorf("keep what was learned of networks: %w", err)
	}
	s.saved = body
	return nil
}

func (s *Store) replace(body []byte) error {
	return replaceFile(s.path, fmt.Appendf(nil, "%s\n%s\n%x\n", version, body, s.sum(body)))
}

// replaceFile has a file of the owner's alone hold text: as a whole, at any moment.
func replaceFile(path string, text []byte) error {
	dir, name := filepath.Split(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return pathless(err)
	}
	kind, _, _ := strings.Cut(name, "-")
	f, err := os.CreateTemp(dir, kind+"-*.new")
	if err != nil {
		return pathless(err)
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return pathless(err)
	}
	tidy(dir, kind, name)
	return nil
}

// tidy removes the files of a kind of links that nobody uses, beyond maxFiles, and what programs that were killed have
// left half-written; but not the one that has just been written. What cannot be removed stays.
func tidy(dir, kind, own string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	var all []os.FileInfo
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || !isOurs(kind, e.Name()) || e.Name() == own {
			continue
		}
		all = append(all, info)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].ModTime().After(all[j].ModTime()) })
	for i, info := range all {
		isExcess := i >= maxFiles-1 || filepath.Ext(info.Name()) == ".new"
		if isExcess && time.Since(info.ModTime()) > halfWritten {
			os.Remove(filepath.Join(dir, info.Name()))
		}
	}
}

// halfWritten is longer than a file is being written.
const halfWritten = time.Minute

// isOurs reports whether a file has a name as ours of a kind have.
func isOurs(kind, name string) bool {
	tag, is := strings.CutPrefix(name, kind+"-")
	return is && (isTag(tag) || filepath.Ext(tag) == ".new")
}

func (s *Store) sum(body []byte) []byte {
	return s.mac("culvert 2 learned file", []byte(version), body)
}

// Errors of a file that is not believed.
var (
	errForeign = errors.New("the file was cut, or is another link's or program's")
	errNewer   = errors.New("the file is of a newer version of culvert")
	errAbsurd  = errors.New("the file has values that cannot be")
	errLarge   = errors.New("the file is too large")
)

func (s *Store) read() (body []byte, err error) {
	text, err := readFile(s.path, maxSize)
	if err != nil || text == nil {
		return nil, err
	}
	return s.parse(text)
}

// readFile reads a file of at most most bytes; nil: there is none.
func readFile(path string, most int64) (text []byte, err error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, pathless(err)
	case !info.Mode().IsRegular():
		return nil, errForeign
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, pathless(err)
	}
	defer f.Close()
	text, err = io.ReadAll(io.LimitReader(f, most+1))
	switch {
	case err != nil:
		return nil, pathless(err)
	case int64(len(text)) > most:
		return nil, errLarge
	}
	return text, nil
}

// parse takes a file, or nothing of it.
func (s *Store) parse(text []byte) (body []byte, err error) {
	lines := bytes.Split(text, []byte("\n"))
	if len(lines) < 1 || !bytes.HasPrefix(lines[0], []byte("culvert learned ")) {
		return nil, errForeign
	}
	if string(lines[0]) != version {
		return nil, errNewer
	}
	if len(lines) != 4 || len(lines[3]) > 0 {
		return nil, errForeign
	}
	sum, err := hex.DecodeString(string(lines[2]))
	if err != nil || !hmac.Equal(sum, s.sum(lines[1])) {
		return nil, errForeign
	}
	var networks map[string]Network
	if err := json.Unmarshal(lines[1], &networks); err != nil || !areSane(networks) {
		return nil, errAbsurd
	}
	s.networks = networks
	return lines[1], nil
}

// areSane reports whether networks may have been learned.
func areSane(networks map[string]Network) bool {
	if networks == nil || len(networks) > maxNetworks {
		return false
	}
	for tag, n := range networks {
		if !isTag(tag) || n.Best != "" && !isTag(n.Best) || len(n.Fronts) > maxFronts {
			return false
		}
		for tag, f := range n.Fronts {
			if !isTag(tag) || !f.isSane() {
				return false
			}
		}
	}
	return true
}

func isTag(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 8
}

// Most that may be known of a front.
const (
	mostBytes  = 1 << 20
	mostRest   = 10 * 60 * 1000
	mostMinute = 1000
	mostPause  = 7 * 24 * 60 * 60
	mostLook   = 16 // bytes of its name
)

func (f Front) isSane() bool {
	within := func(n, most int64) bool { return n >= 0 && n <= most }
	return within(int64(f.Frozen), mostBytes) && within(int64(f.Limit), mostBytes) && within(f.Rest, mostRest) &&
		within(int64(f.Minute), mostMinute) && within(f.Pause, mostPause) && within(f.MinutePause, mostPause) && f.Until >= 0 && f.MinuteUntil >= 0 &&
		within(int64(f.VisitBytes), mostBytes) && f.VisitAt >= 0 && len(f.Look) <= mostLook
}

// pathless is err without a path, which may have a person's name.
func pathless(err error) error {
	var path *os.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}
