//go:build linux

package main

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"sync"
)

// A question has a head of three numbers: its own, how many bytes follow, and how
// many the answer is to have. The answer repeats the number and its length, and
// has bytes that follow from both.
const (
	questionHead = 12
	answerHead   = 8
	maxMessage   = 1 << 20
)

// plainServer answers questions in the place of WhatsApp's chat, in order.
type plainServer struct {
	mu    sync.Mutex
	conns map[net.Conn]bool
}

func newPlainServer() *plainServer { return &plainServer{conns: map[net.Conn]bool{}} }

func (s *plainServer) serve(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		s.mu.Lock()
		s.conns[c] = true
		s.mu.Unlock()
		go func() {
			answerAll(c)
			c.Close()
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		}()
	}
}

// close ends all connections; the listener's namespace ends by itself.
func (s *plainServer) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.Close()
	}
}

func answerAll(c net.Conn) {
	r := bufio.NewReader(c)
	var head [questionHead]byte
	for {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		number, size := binary.BigEndian.Uint32(head[:]), int(binary.BigEndian.Uint32(head[8:]))
		if _, err := r.Discard(int(binary.BigEndian.Uint32(head[4:]))); err != nil || size > maxMessage {
			return
		}
		if _, err := c.Write(answer(number, size)); err != nil {
			return
		}
	}
}

func question(number uint32, size, wanted int) []byte {
	b := make([]byte, questionHead+size)
	binary.BigEndian.PutUint32(b, number)
	binary.BigEndian.PutUint32(b[4:], uint32(size))
	binary.BigEndian.PutUint32(b[8:], uint32(wanted))
	return b
}

// answer is the only right one to a question.
func answer(number uint32, size int) []byte {
	b := make([]byte, answerHead+size)
	binary.BigEndian.PutUint32(b, number)
	binary.BigEndian.PutUint32(b[4:], uint32(size))
	x := number*2654435761 + uint32(size)
	for i := range b[answerHead:] {
		x = x*1664525 + 1013904223
		b[answerHead+i] = byte(x >> 24)
	}
	return b
}
