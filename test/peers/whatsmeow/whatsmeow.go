// Package whatsmeow lets tests talk as a client of WhatsApp that works and shares
// no code with ours: the handshake and frames of go.mau.fi/whatsmeow.
package whatsmeow

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/whatsmeow/proto/waCert"
	"go.mau.fi/whatsmeow/proto/waWa6"
	"go.mau.fi/whatsmeow/socket"
	"go.mau.fi/whatsmeow/util/keys"
	waLog "go.mau.fi/whatsmeow/util/log"
	"google.golang.org/protobuf/proto"
)

// Talk logs in to the chat server at addr, whose chain must lead to root, sends
// messages of all sizes and wants each back. before is called before each.
func Talk(ctx context.Context, t testing.TB, addr string, root [32]byte, before func()) {
	t.Helper()
	fs := socket.NewFrameSocket(waLog.Noop, http.DefaultClient)
	fs.URL = webDoor(t, addr)
	must(t, fs.Connect(ctx))
	defer fs.Close(0)
	frames := make(chan []byte, 1)
	onFrame := func(_ context.Context, b []byte) { frames <- bytes.Clone(b) }
	ns, err := login(ctx, t, fs, root).Finish(ctx, fs, onFrame, func(context.Context, *socket.NoiseSocket, bool) {})
	must(t, err)
	defer ns.Stop(false)
	for _, msg := range [][]byte{[]byte("ping"), {0}, bytes.Repeat([]byte("culvert"), 9000), []byte("last")} {
		before()
		must(t, ns.SendFrame(ctx, msg))
		if got := receive(ctx, t, frames); !bytes.Equal(got, msg) {
			t.Errorf("got %d bytes back, want the %d that were sent", len(got), len(msg))
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// login is Noise XX by whatsmeow's primitives, to the client's finish.
func login(ctx context.Context, t testing.TB, fs *socket.FrameSocket, root [32]byte) *socket.NoiseHandshake {
	t.Helper()
	ephemeral, static := keys.NewKeyPair(), keys.NewKeyPair()
	nh := socket.NewNoiseHandshake()
	nh.Start(socket.NoiseStartPattern, fs.Header)
	nh.Authenticate(ephemeral.Pub[:])
	send(t, fs, &waWa6.HandshakeMessage{ClientHello: &waWa6.HandshakeMessage_ClientHello{Ephemeral: ephemeral.Pub[:]}})

	var reply waWa6.HandshakeMessage
	must(t, proto.Unmarshal(receive(ctx, t, fs.Frames), &reply))
	hello := reply.GetServerHello()
	serverEphemeral := [32]byte(hello.GetEphemeral())
	nh.Authenticate(serverEphemeral[:])
	must(t, nh.MixSharedSecretIntoKey(*ephemeral.Priv, serverEphemeral))
	serverStatic, err := nh.Decrypt(hello.GetStatic())
	must(t, err)
	must(t, nh.MixSharedSecretIntoKey(*ephemeral.Priv, [32]byte(serverStatic)))
	chain, err := nh.Decrypt(hello.GetPayload())
	must(t, err)
	verifyChain(t, chain, root, serverStatic)

	key := nh.Encrypt(static.Pub[:])
	must(t, nh.MixSharedSecretIntoKey(*static.Priv, serverEphemeral))
	send(t, fs, &waWa6.HandshakeMessage{ClientFinish: &waWa6.HandshakeMessage_ClientFinish{
		Static: key, Payload: nh.Encrypt([]byte("who I am")),
	}})
	return nh
}

// verifyChain is what whatsmeow asks of a chain, by libsignal's signatures.
func verifyChain(t testing.TB, payload []byte, root [32]byte, static []byte) {
	t.Helper()
	var chain waCert.CertChain
	must(t, proto.Unmarshal(payload, &chain))
	inter := details(t, chain.GetIntermediate(), root)
	leaf := details(t, chain.GetLeaf(), [32]byte(inter.GetKey()))
	if inter.GetIssuerSerial() != 0 || leaf.GetIssuerSerial() != inter.GetSerial() {
		t.Errorf("got issuers %d and %d, want 0 and %d", inter.GetIssuerSerial(), leaf.GetIssuerSerial(), inter.GetSerial())
	}
	if !bytes.Equal(leaf.GetKey(), static) {
		t.Error("got a leaf for another key, want the server's")
	}
	now := uint64(time.Now().Unix())
	if now < leaf.GetNotBefore() || now > leaf.GetNotAfter() || leaf.GetNotAfter() > inter.GetNotAfter() {
		t.Error("got windows that do not hold now, want them to")
	}
}

func details(t testing.TB, c *waCert.CertChain_NoiseCertificate, issuer [32]byte) *waCert.CertChain_NoiseCertificate_Details {
	t.Helper()
	if !ecc.VerifySignature(ecc.NewDjbECPublicKey(issuer), c.GetDetails(), [64]byte(c.GetSignature())) {
		t.Fatal("got a signature that libsignal refuses, want a valid one")
	}
	d := new(waCert.CertChain_NoiseCertificate_Details)
	must(t, proto.Unmarshal(c.GetDetails(), d))
	return d
}

func send(t testing.TB, fs *socket.FrameSocket, m *waWa6.HandshakeMessage) {
	t.Helper()
	b, err := proto.Marshal(m)
	must(t, err)
	must(t, fs.SendFrame(b))
}

func receive(ctx context.Context, t testing.TB, frames <-chan []byte) []byte {
	t.Helper()
	select {
	case b := <-frames:
		return b
	case <-ctx.Done():
		t.Fatal("got no frame in time")
		return nil
	}
}

// webDoor is a WebSocket in front of the chat at addr, as web.whatsapp.com has;
// whatsmeow speaks through nothing else.
func webDoor(t testing.TB, addr string) (url string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		defer ws.CloseNow()
		if chat, err := net.Dial("tcp", addr); err == nil {
			join(r.Context(), ws, chat)
		}
	}))
	t.Cleanup(server.Close)
	return "ws" + server.URL[len("http"):]
}

func join(ctx context.Context, ws *websocket.Conn, chat net.Conn) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer ws.CloseNow()
		for copyFrame(ctx, ws, chat) == nil {
		}
	}()
	io.Copy(chat, websocket.NetConn(ctx, ws, websocket.MessageBinary))
	chat.Close()
	<-done
}

// copyFrame sends a frame as one message: whatsmeow loses bytes of a frame that
// is spread over several.
func copyFrame(ctx context.Context, ws *websocket.Conn, chat io.Reader) error {
	frame := make([]byte, 3, 64<<10+3)
	if _, err := io.ReadFull(chat, frame); err != nil {
		return err
	}
	frame = frame[:3+int(frame[0])<<16+int(frame[1])<<8+int(frame[2])]
	if _, err := io.ReadFull(chat, frame[3:]); err != nil {
		return err
	}
	return ws.Write(ctx, websocket.MessageBinary, frame)
}
