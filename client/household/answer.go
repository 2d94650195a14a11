package household

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"time"
)

// A client answers whoever may use a socket in its state directory, which is its owner's alone, with its State as JSON, and
// closes. Nothing is asked: to connect is the question.
const (
	folder      = "running" // in the state directory; a socket for each client, by its process
	ending      = ".sock"
	answerLimit = 2 * time.Second
	maxAnswer   = 64 << 10
	maxClients  = 64 // that are asked; more are not on one machine
)

// Answer answers until ctx ends, when it returns nil, or until it cannot: a file system without sockets, a path that is
// too long for one. dir is the client's state directory.
func Answer(ctx context.Context, dir string, state func() State) error {
	ln, err := listen(filepath.Join(dir, folder))
	if err != nil {
		return err
	}
	return answerAll(ctx, ln, state)
}

func answerAll(ctx context.Context, ln net.Listener, state func() State) error {
	defer ln.Close()
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	for {
		conn, err := ln.Accept()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		conn.SetDeadline(time.Now().Add(answerLimit))
		json.NewEncoder(conn).Encode(state()) // who does not wait for it needs none
		conn.Close()
	}
}

// listen makes the socket of this process. What a process of the same number has left behind is replaced.
func listen(dir string) (net.Listener, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o700); err != nil { // others could connect before the socket's own mode is set
		return nil, err
	}
	name := filepath.Join(dir, strconv.Itoa(os.Getpid())+ending)
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	ln, err := net.Listen("unix", name)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(name, 0o600); err != nil {
		ln.Close()
		return nil, err
	}
	return ln, nil
}

// Ask returns how the clients do that keep what they learn in dir, by their process. Sockets that nobody answers at any
// more are removed.
func Ask(ctx context.Context, dir string) ([]State, error) {
	dir = filepath.Join(dir, folder)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	all := []State{} // never null as JSON
	for _, e := range entries[:min(len(entries), maxClients)] {
		if filepath.Ext(e.Name()) != ending {
			continue
		}
		if s, err := ask(ctx, filepath.Join(dir, e.Name())); err == nil {
			all = append(all, s)
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].PID < all[j].PID }) // 12 kB less than slices.SortFunc
	return all, nil
}

func ask(ctx context.Context, name string) (s State, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", name)
	if err != nil {
		if ctx.Err() == nil && !errors.Is(err, os.ErrPermission) {
			os.Remove(name)
		}
		return s, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(answerLimit))
	return s, json.NewDecoder(io.LimitReader(conn, maxAnswer)).Decode(&s)
}
