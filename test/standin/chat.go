package standin

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/flynn/noise"
	"google.golang.org/protobuf/encoding/protowire"
)

// errNoClient means a client broke a rule of WhatsApp's handshake or framing.
var errNoClient = errors.New("not a client of WhatsApp")

// The stand-in's limits.
const (
	handshakeWait = 20 * time.Second // from accept to the client's finish
	idleWait      = 15 * time.Minute // between frames; apps are silent for up to ten minutes
	writeWait     = 30 * time.Second // for a client that does not read
	maxHello      = 4 << 10          // bytes of a handshake frame
	maxFrame      = 64 << 10         // bytes of a transport frame
	maxRouting    = 1 << 10          // bytes of edge routing in front of the prologue
)

// ServeChat serves WhatsApp's chat on l until Close, when it returns nil, or
// until l fails. It closes l. After the handshake every transport frame, up to
// 64 KiB, comes back decrypted and encrypted anew.
func (s *Server) ServeChat(l net.Listener) error {
	limited := newCapped(l, maxConns)
	if !s.track(limited) {
		return nil
	}
	defer s.untrack(limited)
	for {
		conn, err := limited.Accept()
		if err != nil {
			return s.ended(err)
		}
		if s.track(conn) {
			go s.chat(conn)
		}
	}
}

func (s *Server) chat(conn net.Conn) {
	defer s.untrack(conn)
	s.talk(conn, nil)
}

// talk serves a chat of which some was read already.
func (s *Server) talk(conn net.Conn, ahead []byte) {
	conn.SetDeadline(time.Now().Add(handshakeWait))
	r := bufio.NewReader(io.MultiReader(bytes.NewReader(ahead), conn))
	receive, send, err := s.handshake(conn, r)
	if err != nil {
		return
	}
	echo(conn, r, receive, send)
}

// handshake is the server's side of Noise XX as WhatsApp frames it.
func (s *Server) handshake(w io.Writer, r *bufio.Reader) (receive, send *noise.CipherState, err error) {
	opening, err := readOpening(r)
	if err != nil {
		return nil, nil, err
	}
	ephemeral, err := readHello(r)
	if err != nil {
		return nil, nil, err
	}
	state, err := s.noise(opening, ephemeral)
	if err != nil {
		return nil, nil, err
	}
	msg, _, _, err := state.WriteMessage(nil, s.chain)
	if err != nil {
		return nil, nil, err
	}
	if err := writeServerHello(w, msg); err != nil {
		return nil, nil, err
	}
	finish, err := readFinish(r)
	if err != nil {
		return nil, nil, err
	}
	_, receive, send, err = state.ReadMessage(nil, finish)
	return receive, send, err
}

// noise is the state after the client's hello. WhatsApp does not hash the empty
// payload of XX's first message, which a Noise library must. So this is the rest
// of XX after the client's ephemeral as a pre-message, as in XXfallback, where
// who sends first is the initiator: its "se" is XX's "es". The name stays XX.
func (s *Server) noise(opening, ephemeral []byte) (*noise.HandshakeState, error) {
	return noise.NewHandshakeState(noise.Config{
		CipherSuite: suite,
		Pattern: noise.HandshakePattern{
			Name:                 "XX",
			ResponderPreMessages: []noise.MessagePattern{noise.MessagePatternE},
			Messages: [][]noise.MessagePattern{
				{noise.MessagePatternE, noise.MessagePatternDHEE, noise.MessagePatternS, noise.MessagePatternDHSE},
				{noise.MessagePatternS, noise.MessagePatternDHES},
			},
		},
		Initiator:     true,
		Prologue:      opening,
		StaticKeypair: s.static,
		PeerEphemeral: ephemeral,
	})
}

// readOpening reads what comes before the first frame: edge routing (ED 00 01, a
// 3-byte length, that many bytes) if the client sends it, and the prologue, WA
// and two bytes of version, which it returns.
func readOpening(r *bufio.Reader) ([]byte, error) {
	var b [4]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return nil, err
	}
	if string(b[:]) == "ED\x00\x01" {
		n, err := readLength(r)
		if err != nil {
			return nil, err
		}
		if n > maxRouting {
			return nil, fmt.Errorf("%w: routing of %d bytes", errNoClient, n)
		}
		if _, err := r.Discard(n); err != nil {
			return nil, err
		}
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return nil, err
		}
	}
	if p := string(b[:]); p != "WA\x05\x03" && p != "WA\x06\x03" {
		return nil, fmt.Errorf("%w: prologue", errNoClient)
	}
	return b[:], nil
}

func readLength(r io.Reader) (int, error) {
	var b [4]byte
	_, err := io.ReadFull(r, b[1:])
	return int(binary.BigEndian.Uint32(b[:])), err
}

// readFrame reads one frame into buf, which it grows.
func readFrame(r io.Reader, buf []byte, limit int) ([]byte, error) {
	n, err := readLength(r)
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, fmt.Errorf("%w: frame of %d bytes", errNoClient, n)
	}
	buf = slices.Grow(buf[:0], n)[:n]
	_, err = io.ReadFull(r, buf)
	return buf, err
}

func readHello(r io.Reader) ([]byte, error) {
	frame, err := readFrame(r, nil, maxHello)
	if err != nil {
		return nil, err
	}
	e := find(find(frame, 2), 1)
	if len(e) != 32 {
		return nil, fmt.Errorf("%w: hello", errNoClient)
	}
	return e, nil
}

// writeServerHello sends a Noise message of ephemeral, static and payload as
// the three fields that WhatsApp has for them.
func writeServerHello(w io.Writer, msg []byte) error {
	hello := appendBytes(nil, 1, msg[:32])
	hello = appendBytes(hello, 2, msg[32:80])
	hello = appendBytes(hello, 3, msg[80:])
	return writeFrame(w, appendBytes(nil, 3, hello))
}

// readFinish reads the client's static key and payload as one Noise message.
func readFinish(r io.Reader) ([]byte, error) {
	frame, err := readFrame(r, nil, maxHello)
	if err != nil {
		return nil, err
	}
	finish := find(frame, 4)
	static, payload := find(finish, 1), find(finish, 2)
	if len(static) != 48 || len(payload) < 16 {
		return nil, fmt.Errorf("%w: finish", errNoClient)
	}
	return slices.Concat(static, payload), nil
}

// find is field num of message b if it is there and bytes, else nil.
func find(b []byte, num protowire.Number) []byte {
	for len(b) > 0 {
		n, typ, size := protowire.ConsumeField(b)
		if size < 0 {
			return nil
		}
		if n == num && typ == protowire.BytesType {
			_, _, tag := protowire.ConsumeTag(b)
			v, _ := protowire.ConsumeBytes(b[tag:])
			return v
		}
		b = b[size:]
	}
	return nil
}

func writeFrame(w io.Writer, data []byte) error {
	head := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(data)), uint32(len(data)))
	_, err := w.Write(append(head, data...)[1:])
	return err
}

// echo answers each frame with itself until the client or Close ends it.
func echo(conn net.Conn, r *bufio.Reader, receive, send *noise.CipherState) {
	var in, plain, out []byte
	for {
		conn.SetDeadline(time.Now().Add(idleWait))
		var err error
		if in, err = readFrame(r, in, maxFrame); err != nil {
			return
		}
		if plain, err = receive.Decrypt(plain[:0], nil, in); err != nil {
			return
		}
		if out, err = send.Encrypt(out[:0], nil, plain); err != nil {
			return
		}
		conn.SetWriteDeadline(time.Now().Add(writeWait))
		if writeFrame(conn, out) != nil {
			return
		}
	}
}
