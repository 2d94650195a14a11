package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/serve"
)

// publication is CULVERT_FRONTS: the name of a file of lists of fronts; empty: there is none.
type publication string

// maxPublication bounds the file, in bytes.
const maxPublication = 1 << 20

var errNoListsHere = errors.New("none of its lists is signed by the master secret here: publish them with: culvert link fronts publish")

// read reads the lists that the masters have signed.
func (p publication) read(masters []seal.Master) (*link.Book, error) {
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
	all, others, err := link.ParsePublished(string(text), keys)
	switch {
	case err != nil:
		return nil, err
	case len(all) == 0 && others > 0:
		return nil, errNoListsHere
	}
	return all.Book(), nil
}

// frontLists are the lists that users are told of. They are read aside: whoever asks waits for nothing.
type frontLists struct {
	book atomic.Pointer[link.Book]
	file *serve.Watched[*link.Book]
}

// watchLists begins with what the file of that name holds, or with nothing if that cannot be used: an origin
// carries without lists, too.
func watchLists(files *serve.Files, name string, log *slog.Logger, read func() (*link.Book, error)) (*frontLists, error) {
	l := &frontLists{}
	l.book.Store(link.Published(nil).Book())
	isFirst := true
	var err error
	l.file, err = serve.Watch(files, "CULVERT_FRONTS", []string{name}, func() (*link.Book, error) {
		book, err := read()
		if err != nil && isFirst {
			log.Error("lists of fronts cannot be used: clients are told of none", "error", err)
			book, err = l.book.Load(), nil
		}
		isFirst = false
		if err == nil {
			l.book.Store(book)
		}
		return book, err
	})
	return l, err
}

// newest is the list of a user whose link has that key of the origin, and its version; 0: there is none.
func (l *frontLists) newest(key seal.PublicKey, user uint32) ([]byte, uint32) {
	return l.book.Load().For(key, user, time.Now())
}

// follow reads the file again when it changes, until stop, which waits for it.
func (l *frontLists) follow(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var reading sync.WaitGroup
	reading.Go(func() { l.file.Follow(ctx) })
	return func() { cancel(); reading.Wait() }
}
