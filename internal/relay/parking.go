package relay

import "syscall"

// parking waits for a TCP connection to become readable.
type parking struct {
	rc  syscall.RawConn
	lot *lot // set before it is used
	at  place
}

// park has resume called, in a goroutine of its own, when there is something to read
// or p is left; false if there is no lot to wait in, or something to read now.
func (p *parking) park(resume func()) bool {
	return !p.ready() && p.lot.enter(p.rc, &p.at, resume) == nil
}

// leave is called when the connection has been closed.
func (p *parking) leave() {
	if p.lot != nil {
		p.lot.leave(&p.at)
	}
}

// ready reports whether a read would return at once.
func (p *parking) ready() (is bool) {
	p.rc.Control(func(fd uintptr) { is = readable(fd) })
	return is
}

// wait needs little stack, which is what an idle connection mostly costs where there
// is no lot.
func (p *parking) wait() error { return p.rc.Read(readable) }
