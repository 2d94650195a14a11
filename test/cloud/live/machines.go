//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// What the stand-in calls itself to machines, whose network this address leads out of.
const gatewayIP = "10.0.0.1"

type (
	associationProperties struct {
		Name    string
		Targets []struct {
			Key    string
			Values []string
		}
	}
	documentProperties struct {
		Content struct {
			MainSteps []struct {
				Action string
				Inputs struct{ RunCommand []string }
			}
		}
	}
)

// start makes a machine, and knows it from then on.
func (w *world) start(ctx context.Context, id, address string) (*machine, error) {
	m, err := boot(ctx, w.folder, id, address, w.broke)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.machines[id] = m
	return m, nil
}

// forget has a machine be there no more.
func (w *world) forget(id string) *machine {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.machines[id]
	delete(w.machines, id)
	return m
}

func (w *world) instance(id string) (*machine, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if m := w.machines[id]; m != nil {
		return m, nil
	}
	return nil, fmt.Errorf("instance %q: %w", id, errNotThere)
}

// all machines, by their ids.
func (w *world) allMachines() []*machine {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []*machine
	for _, id := range slices.Sorted(maps.Keys(w.machines)) {
		all = append(all, w.machines[id])
	}
	return all
}

// caller is the machine that asks.
func (w *world) caller(r *http.Request) (*machine, error) {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	for _, m := range w.allMachines() {
		if m.address == host {
			return m, nil
		}
	}
	return nil, fmt.Errorf("the machine that asks: %w", errNotThere)
}

// takeInstance makes the one instance of solo, or ends it.
func (w *world) takeInstance(ctx context.Context, p part) error {
	if p.Gone {
		if m := w.forget(p.ID); m != nil {
			m.shutDown()
		}
		return nil
	}
	if _, err := w.instance(p.ID); err == nil {
		return nil
	}
	_, err := w.start(ctx, p.ID, p.Address)
	return err
}

// takeAssociation runs a document on the instance, as Systems Manager does.
func (w *world) takeAssociation(ctx context.Context, p part) error {
	a, err := as[associationProperties](p)
	if err != nil {
		return err
	}
	d, err := w.get("AWS::SSM::Document", a.Name)
	if err != nil {
		return err
	}
	document, err := as[documentProperties](d)
	if err != nil {
		return err
	}
	for _, t := range a.Targets {
		for _, id := range t.Values {
			m, err := w.instance(id)
			if err == nil {
				err = m.follow(ctx, document)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// follow does what a document of Systems Manager says.
func (m *machine) follow(ctx context.Context, d documentProperties) error {
	for _, step := range d.Content.MainSteps {
		if step.Action != "aws:runShellScript" {
			return fmt.Errorf("the action %s is not known here", step.Action)
		}
		if err := m.run(ctx, strings.Join(step.Inputs.RunCommand, "\n")); err != nil {
			return err
		}
	}
	return nil
}

// each answers by what is done on all machines, one after another.
func (w *world) each(do func(context.Context, http.ResponseWriter, *machine) error) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		var failed error
		for _, m := range w.allMachines() {
			failed = errors.Join(failed, do(r.Context(), rw, m))
		}
		if failed != nil {
			http.Error(rw, failed.Error(), http.StatusInternalServerError)
		}
	}
}

func tend(ctx context.Context, _ http.ResponseWriter, m *machine) error { return m.tend(ctx) }

// outcomes gives what a machine keeps of its installations.
func outcomes(_ context.Context, rw http.ResponseWriter, m *machine) error {
	said, err := os.ReadFile(filepath.Join(m.root, "opt/culvert/outcomes"))
	rw.Write(said)
	return err
}

// asked answers what a machine's own scripts ask of its system.
func (w *world) asked(answer func(*machine, http.ResponseWriter, *http.Request)) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		m, err := w.caller(r)
		if err != nil {
			http.Error(rw, err.Error(), http.StatusForbidden)
			return
		}
		answer(m, rw, r)
	}
}
