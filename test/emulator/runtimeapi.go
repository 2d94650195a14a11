package emulator

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

// maxReply is what Lambda takes of a function's answer [10].
const maxReply = 6 << 20

// api is Lambda's Runtime API as one process sees it [10].
func (i *instance) api() http.Handler {
	const root = "/2018-06-01/runtime/"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+root+"invocation/next", i.next)
	mux.HandleFunc("POST "+root+"invocation/{id}/response", i.response)
	mux.HandleFunc("POST "+root+"invocation/{id}/error", i.failure)
	mux.HandleFunc("POST "+root+"init/error", i.initFailure)
	return mux
}

// next answers when there is an event; the process may wait for ever. It is
// not answered when it is to end: it would complain about an empty event.
func (i *instance) next(w http.ResponseWriter, r *http.Request) {
	select {
	case v := <-i.events:
		i.mu.Lock()
		i.current = v
		i.mu.Unlock()
		writeInvocation(w, v, i.of.set)
	case <-r.Context().Done():
	}
}

func writeInvocation(w http.ResponseWriter, v *invocation, s Settings) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(v.payload)))
	h.Set("Lambda-Runtime-Aws-Request-Id", v.id)
	h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(s.Timeout).UnixMilli(), 10))
	h.Set("Lambda-Runtime-Invoked-Function-Arn", s.arn())
	h.Set("Lambda-Runtime-Trace-Id", newTrace()+";Parent=0000000000000000;Sampled=0")
	w.Write(v.payload)
}

func (i *instance) response(w http.ResponseWriter, r *http.Request) {
	body, ok := readReply(w, r)
	if !ok {
		i.answer(nil, r.PathValue("id"), failed("Function.ResponseSizeTooLarge", "response is larger than 6 MB"))
		return
	}
	out := outcome{reply: body}
	if kind := r.Trailer.Get("Lambda-Runtime-Function-Error-Type"); kind != "" {
		out = failed(kind, "the function failed while it answered")
	}
	i.answer(w, r.PathValue("id"), out)
}

func (i *instance) failure(w http.ResponseWriter, r *http.Request) {
	if body, ok := readReply(w, r); ok {
		i.answer(w, r.PathValue("id"), said(r, body))
	}
}

// initFailure is why the process is about to end.
func (i *instance) initFailure(w http.ResponseWriter, r *http.Request) {
	body, ok := readReply(w, r)
	if !ok {
		return
	}
	var why *FunctionError
	errors.As(said(r, body).err, &why)
	i.because(why.Type, why.Message)
	accepted(w)
}

// said is the error that a process reports.
func said(r *http.Request, body []byte) outcome {
	var e struct {
		Type    string `json:"errorType"`
		Message string `json:"errorMessage"`
	}
	json.Unmarshal(body, &e) // an error of another form is one without a text
	if e.Type == "" {
		e.Type = r.Header.Get("Lambda-Runtime-Function-Error-Type")
	}
	return failed(e.Type, e.Message)
}

func readReply(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReply))
	if err != nil {
		complain(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "Exceeded maximum allowed payload size (6291556 bytes).")
	}
	return body, err == nil
}

// answer ends the invocation named id, if that is the current one. w is nil if
// the process has its answer already.
func (i *instance) answer(w http.ResponseWriter, id string, out outcome) {
	i.mu.Lock()
	v := i.current
	known := v != nil && v.id == id
	if known {
		i.current = nil
		v.answer <- out
	}
	i.mu.Unlock()
	switch {
	case w == nil:
	case known:
		accepted(w)
	default:
		complain(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
	}
}

func accepted(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	io.WriteString(w, `{"status":"OK"}`+"\n")
}

func complain(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"errorType": kind, "errorMessage": message})
}
