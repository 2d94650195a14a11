package standin

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// webPage is WhatsApp Web's stand-in: it opens a WebSocket, has three messages answered, says so in
// the page, and tells the server. Its picture comes then, so that the page is loaded when all of it works.
const webPage = `<!doctype html><meta charset="utf-8"><title>WhatsApp Web, a stand-in</title>
<p id="state">connecting</p><img src="/ws/done" alt="">
<script>
const socket = new WebSocket("wss://" + location.host + "/ws/chat"), state = document.getElementById("state");
let answers = 0;
socket.onopen = () => socket.send("message 0");
socket.onmessage = (m) => {
  if (m.data !== "message " + answers) state.textContent = "a wrong answer";
  else if (++answers < 3) socket.send("message " + answers);
  else { state.textContent = "3 messages were answered"; socket.send("done"); }
};
socket.onclose = () => { if (answers < 3) state.textContent = "the WebSocket was closed"; };
</script>
`

// doneWait is how long a page's picture waits for its WebSocket.
const doneWait = 20 * time.Second

// handleWeb serves webPage and what it asks for.
func (s *Server) handleWeb(mux *http.ServeMux) {
	done := make(chan struct{}, 1)
	mux.HandleFunc("GET web.whatsapp.com/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, webPage)
	})
	mux.HandleFunc("GET web.whatsapp.com/ws/chat", func(w http.ResponseWriter, r *http.Request) {
		socket, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		if open := (socketOf{socket}); s.track(open) {
			defer s.untrack(open)
			s.webChat(r.Context(), socket, done)
		}
	})
	mux.HandleFunc("GET web.whatsapp.com/ws/done", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-done:
		case <-r.Context().Done():
		case <-time.After(doneWait):
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// socketOf is a WebSocket that Close ends: its connection is the server's no more.
type socketOf struct{ *websocket.Conn }

func (s socketOf) Close() error { return s.CloseNow() }

// webChat answers each message of webPage with itself, until one says that the page has had enough. A program begins with
// bytes, which are a chat's.
func (s *Server) webChat(ctx context.Context, socket *websocket.Conn, done chan<- struct{}) {
	for {
		kind, message, err := socket.Read(ctx)
		if err != nil {
			return
		}
		if kind == websocket.MessageBinary {
			s.talk(websocket.NetConn(ctx, socket, kind), message)
			return
		}
		if string(message) == "done" {
			select {
			case done <- struct{}{}:
			default:
			}
		} else if err := socket.Write(ctx, kind, message); err != nil {
			return
		}
	}
}
