package main

import (
	"fmt"
	"os"
	"time"

	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/serve"
)

// publication is CULVERT_FRONTS: the name of a file of lists of fronts; empty: there is none.
type publication string

// maxPublication bounds the file, in bytes.
const maxPublication = 1 << 20

// watch returns what finds a user's list; nil: there are none.
func (p publication) watch(files *serve.Files, masters []seal.Master) (func(seal.PublicKey, uint32) ([]byte, uint32), error) {
	if p == "" {
		return nil, nil
	}
	book, err := serve.Watch(files, "CULVERT_FRONTS", []string{string(p)}, func() (*link.Book, error) { return p.read(masters) })
	if err != nil {
		return nil, err
	}
	return func(key seal.PublicKey, user uint32) ([]byte, uint32) { return book.Get().For(key, user, time.Now()) }, nil
}

// read reads the lists that the masters have signed.
func (p publication) read(masters []seal.Master) (*link.Book, error) {
	if p == "" {
		return nil, nil
	}
	info, err := os.Stat(string(p))
	if err != nil {
		return nil, err
	}
	if info.Size() > maxPublication {
		return nil, fmt.Errorf("is larger than %d bytes", maxPublication)
	}
	text, err := os.ReadFile(string(p))
	if err != nil {
		return nil, err
	}
	var keys []seal.PublicKey
	for _, m := range masters {
		keys = append(keys, m.PublicKey())
	}
	all, err := link.ParsePublished(string(text), keys)
	if err != nil {
		return nil, err
	}
	return all.Book(), nil
}
