package setup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"culvert/internal/term"
)

// update starts the program that runs beside the one that serves, and has it take over.
func (h *host) update(ctx context.Context, out *term.Console) error {
	old := h.current()
	if h.isInstalled(old) {
		out.Step(term.Skipped, 0, "This program serves already")
		return h.retire(ctx, old)
	}
	port, err := h.freeInstance(ctx)
	if err != nil {
		return err
	}
	was := h.read(unitFile)
	if err := h.write(unitFile, unitText, 0o644); err != nil {
		return err
	}
	if err := h.tryOut(ctx, port); err != nil {
		return errors.Join(fmt.Errorf("%w; the old program goes on serving", err), h.drop(ctx, port), h.bringBack(ctx, was))
	}
	out.Step(term.Good, 0, "The new program serves beside the old one")
	if err := errors.Join(h.write(runsFile, runsBy(values(h.read(settings))), 0o644), h.takeOver(ctx, old, port)); err != nil {
		return err
	}
	out.Step(term.Good, 0, "It has taken over; the old one serves what it holds, for 15 minutes at most")
	return nil
}

// retire has all instances leave but the one that has taken over: an update may have been cut off before that.
func (h *host) retire(ctx context.Context, current int) error {
	for port := firstPort; port <= lastPort; port++ {
		if port == current || !h.exists(programOf(port)) {
			continue
		}
		if said, _ := h.run(ctx, "systemctl", "is-active", unit(port)); said != "active" {
			continue
		}
		if err := h.takeOver(ctx, port, current); err != nil {
			return err
		}
	}
	return nil
}

// bringBack has the unit be what it was before an update that has failed.
func (h *host) bringBack(ctx context.Context, was string) error {
	if was == unitText {
		return nil
	}
	err := h.write(unitFile, was, 0o644)
	_, reloaded := h.run(ctx, "systemctl", "daemon-reload")
	return errors.Join(err, reloaded)
}

// isInstalled reports whether the instance has the program that runs.
func (h *host) isInstalled(port int) bool {
	mine, err := os.ReadFile(h.self)
	theirs, bad := os.ReadFile(h.path(programOf(port)))
	return err == nil && bad == nil && bytes.Equal(mine, theirs)
}

// freeInstance is one that does not run; those that have ended since the last time are removed.
func (h *host) freeInstance(ctx context.Context) (int, error) {
	free := 0
	for port := lastPort; port >= firstPort; port-- {
		if port == h.current() {
			continue
		}
		if said, _ := h.run(ctx, "systemctl", "is-active", unit(port)); said != "inactive" && said != "failed" && said != "unknown" {
			continue
		}
		if err := h.drop(ctx, port); err != nil {
			return 0, err
		}
		free = port
	}
	if free == 0 {
		return 0, errors.New("older programs still serve what they hold: wait 15 minutes and run this again")
	}
	return free, nil
}

func (h *host) tryOut(ctx context.Context, port int) error {
	if err := h.install(port); err != nil {
		return err
	}
	if _, err := h.run(ctx, "systemctl", "daemon-reload"); err != nil {
		return err
	}
	if _, err := h.run(ctx, "systemctl", "start", unit(port)); err != nil {
		return err
	}
	return h.awaitHealth(ctx, port)
}

// drop stops an instance that is of no use, and removes its program.
func (h *host) drop(ctx context.Context, port int) error {
	if !h.exists(filepath.Dir(programOf(port))) {
		return nil
	}
	_, err := h.run(ctx, "systemctl", "disable", "--now", unit(port))
	return errors.Join(err, os.RemoveAll(h.path(leavingOf(port))), os.RemoveAll(h.path(filepath.Dir(programOf(port)))))
}

// leavingOf is a drop-in of the instance while it leaves: it may take longer than a shutdown of the machine.
func leavingOf(port int) string { return "/run/systemd/system/" + unit(port) + ".d" }

// leaving is the longest that an instance may serve what it holds, a minute more than CULVERT_DRAIN.
const leaving = 16 * time.Minute

func (h *host) takeOver(ctx context.Context, old, port int) error {
	if _, err := h.run(ctx, "systemctl", "enable", unit(port)); err != nil {
		return err
	}
	if err := h.point(port); err != nil {
		return err
	}
	if err := h.write(leavingOf(old)+"/leave.conf", "[Service]\nTimeoutStopSec="+strconv.Itoa(int(leaving.Seconds()))+"\n", 0o644); err != nil {
		return err
	}
	for _, words := range [][]string{{"disable", unit(old)}, {"daemon-reload"}, {"stop", "--no-block", unit(old)}} {
		if _, err := h.run(ctx, "systemctl", words...); err != nil {
			return err
		}
	}
	return nil
}

// remove takes the origin off the machine; what is not there is no mistake. What can be this origin goes first, and one
// failure keeps nothing else from going.
func (h *host) remove(ctx context.Context, everything bool, out *term.Console) error {
	var all []error
	gone := []string{command, programs, unitFile, userFile}
	if everything {
		all = append(all, h.clear(folder, state))
		gone = append(gone, folder, state) // a program that still ran may have written
	}
	for port := firstPort; port <= lastPort; port++ {
		if h.exists(filepath.Dir(programOf(port))) {
			all = append(all, h.end(ctx, port))
		}
		gone = append(gone, leavingOf(port))
	}
	all = append(all, h.clear(gone...))
	_, err := h.run(ctx, "systemctl", "daemon-reload")
	if err := errors.Join(append(all, err)...); err != nil {
		return err
	}
	if _, err := h.run(ctx, "userdel", "culvert"); err != nil {
		out.Hint("The user culvert is still there: userdel culvert")
	}
	out.Step(term.Good, 0, "The origin is removed")
	if !everything {
		out.Hint("%s has the secret and the settings still; culvert-origin setup brings the origin back with the same links.", folder)
	}
	return nil
}

// end stops an instance at once: one that leaves would take longer than anybody waits.
func (h *host) end(ctx context.Context, port int) error {
	_, disabled := h.run(ctx, "systemctl", "disable", unit(port))
	_, told := h.run(ctx, "systemctl", "stop", "--no-block", unit(port))
	h.run(ctx, "systemctl", "kill", "-s", "KILL", unit(port)) // fails where nothing runs
	_, stopped := h.run(ctx, "systemctl", "stop", unit(port)) // waits for that
	return errors.Join(disabled, told, stopped)
}

func (h *host) clear(names ...string) error {
	var all []error
	for _, name := range names {
		all = append(all, os.RemoveAll(h.path(name)))
	}
	return errors.Join(all...)
}
