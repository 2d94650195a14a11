package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/aws/aws-lambda-go/events"
)

// function is one of template.yaml's.
type function string

var functions = []function{"Connect", "Message", "Disconnect"}

// toOthers is what a function answers to an event that is not for it.
var toOthers = map[function]answer{
	"Connect":    {Status: 404, Log: notOurs},
	"Message":    {Status: 403, Log: notOurs},
	"Disconnect": {Status: 200, Log: notOurs},
}

const notOurs = "not an event of our API"

// answer is what a function says to an event.
type answer struct {
	Status int    // 0: it fails
	Log    string // what it logs, or why it fails
}

// recorded is an event and what is expected of it.
type recorded struct {
	path string
	want answer
}

// of is the function that the event is for.
func (r recorded) of() function {
	name := filepath.Base(r.path)
	for _, f := range functions {
		if strings.HasPrefix(name, strings.ToLower(string(f))) {
			return f
		}
	}
	return ""
}

// from is what f is to answer.
func (r recorded) from(f function) answer {
	if f == r.of() {
		return r.want
	}
	return toOthers[f]
}

// readAnswers reads the file of that name in dir.
func readAnswers(dir string) ([]recorded, error) {
	file, err := os.Open(filepath.Join(dir, "answers"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var all []recorded
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) < 2 || words[0] == "#" {
			continue
		}
		status, err := strconv.Atoi(words[1])
		if err != nil && words[1] != "error" {
			return nil, fmt.Errorf("answers: %q is no status", words[1])
		}
		want := answer{Status: status, Log: strings.Join(words[2:], " ")}
		all = append(all, recorded{filepath.Join(dir, words[0]+".json"), want})
	}
	return all, lines.Err()
}

// check says how what a function replied differs from want.
func check(want answer, reply []byte) error {
	var got struct {
		events.APIGatewayProxyResponse
		ErrorMessage string `json:"errorMessage"`
	}
	switch err := json.Unmarshal(reply, &got); {
	case err != nil:
		return errors.New("got no JSON for a reply")
	case got.StatusCode != want.Status || got.Body != "" || len(got.Headers) > 0:
		return fmt.Errorf("got status %d, %q, %d headers and the error %q, want status %d alone",
			got.StatusCode, got.Body, len(got.Headers), got.ErrorMessage, want.Status)
	case want.Status == 0 && got.ErrorMessage != want.Log:
		return fmt.Errorf("got the error %q, want %q", got.ErrorMessage, want.Log)
	}
	return nil
}

// checkLog wants a log that says what was wrong, and nothing if nothing was.
func checkLog(want answer, log []byte) error {
	if !strings.Contains(string(log), want.Log) || want.Log == "" && len(log) > 0 {
		return fmt.Errorf("got the log %q, want %q in it", log, want.Log)
	}
	return nil
}

// leaks finds what of an event is in a log.
func leaks(event, log []byte) error {
	var e any
	if err := json.Unmarshal(event, &e); err != nil {
		return err
	}
	for _, s := range leaves(e) {
		if len(s) >= 6 && !public[s] && strings.Contains(string(log), s) {
			return errors.New("a log line holds a value of the event")
		}
	}
	return nil
}

// public are those values of an event that say nothing of anyone.
var public = map[string]bool{"CONNECT": true, "MESSAGE": true, "DISCONNECT": true}

// leaves are the texts in a JSON value, in full and their first bytes.
func leaves(v any) []string {
	var all []string
	switch v := v.(type) {
	case string:
		return []string{v, v[:min(len(v), 24)]}
	case []any:
		for _, e := range v {
			all = append(all, leaves(e)...)
		}
	case map[string]any:
		for _, e := range v {
			all = append(all, leaves(e)...)
		}
	}
	return all
}
