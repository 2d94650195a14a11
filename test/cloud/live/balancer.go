//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// balancer is HAProxy in the place of a network load balancer: it passes connections on, and knows no more of
// them. What it is told is what the template says of listener and targets; its checks come ten times as often.
type balancer struct {
	socket string // takes HAProxy's commands
	run    *exec.Cmd
	turns  atomic.Uint32
}

// The balancer has a node in each of two zones.
var nodes = [2]string{"10.0.0.2", "10.0.0.3"}

// Targets have the addresses 10.0.0.100 and on, and may be so many.
const (
	firstTarget = 100
	mostTargets = 100
	sooner      = 10
)

type (
	listenerProperties struct {
		LoadBalancerArn    string
		Port               number
		DefaultActions     []struct{ TargetGroupArn string }
		ListenerAttributes []attribute
	}
	targetsProperties struct {
		Port                                           number
		HealthCheckProtocol, HealthCheckPath           string
		HealthCheckIntervalSeconds                     number
		HealthyThresholdCount, UnhealthyThresholdCount number
		Matcher                                        struct{ HttpCode string }
		TargetGroupAttributes                          []attribute
	}
	attribute struct{ Key, Value string }
)

func valueOf(all []attribute, key string) string {
	for _, a := range all {
		if a.Key == key {
			return a.Value
		}
	}
	return ""
}

// takeListener starts the balancer, or ends it.
func (w *world) takeListener(p part) error {
	if p.Gone {
		w.putInFront(nil).end()
		return nil
	}
	l, err := as[listenerProperties](p)
	if err != nil || w.inFront() != nil {
		return err
	}
	b, err := w.get("AWS::ElasticLoadBalancingV2::LoadBalancer", l.LoadBalancerArn)
	if err != nil {
		return err
	}
	g, err := w.get("AWS::ElasticLoadBalancingV2::TargetGroup", l.DefaultActions[0].TargetGroupArn)
	if err != nil {
		return err
	}
	t, err := as[targetsProperties](g)
	if err != nil {
		return err
	}
	for _, node := range nodes {
		if err := w.resolve(b.Domain, node); err != nil {
			return err
		}
	}
	started, err := startBalancer(w.folder, l, t)
	if err != nil {
		return err
	}
	w.putInFront(started)
	return nil
}

// inFront is the balancer; nil: there is none.
func (w *world) inFront() *balancer {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.balancer
}

// putInFront has b be the balancer, and gives back the one before.
func (w *world) putInFront(b *balancer) (before *balancer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before, w.balancer = w.balancer, b
	return before
}

// end is safe for one that there is not.
func (b *balancer) end() {
	if b != nil {
		b.run.Process.Kill()
		b.run.Wait()
	}
}

func startBalancer(folder string, l listenerProperties, t targetsProperties) (*balancer, error) {
	if t.HealthCheckProtocol != "HTTP" || valueOf(t.TargetGroupAttributes, "target_health_state.unhealthy.connection_termination.enabled") != "false" ||
		valueOf(t.TargetGroupAttributes, "deregistration_delay.connection_termination.enabled") != "false" {
		return nil, fmt.Errorf("targets with %v are not known here", t)
	}
	b := &balancer{socket: filepath.Join(folder, "balancer")}
	var text strings.Builder
	fmt.Fprintf(&text, "global\n stats socket %s level admin\n", b.socket)
	idle := valueOf(l.ListenerAttributes, "tcp.idle_timeout.seconds")
	fmt.Fprintf(&text, "defaults\n mode tcp\n retries 0\n timeout connect 10s\n timeout client %ss\n timeout server %ss\nlisten origins\n", idle, idle)
	for _, node := range nodes {
		fmt.Fprintf(&text, " bind %s:%d\n", node, l.Port)
	}
	fmt.Fprintf(&text, " balance roundrobin\n option httpchk GET %s\n http-check expect status %s\n", t.HealthCheckPath, t.Matcher.HttpCode)
	fmt.Fprintf(&text, " default-server check inter %dms rise %d fall %d disabled\n", int(t.HealthCheckIntervalSeconds)*1000/sooner,
		t.HealthyThresholdCount, t.UnhealthyThresholdCount)
	for n := range mostTargets {
		fmt.Fprintf(&text, " server m%d 10.0.0.%d:%d\n", firstTarget+n, firstTarget+n, t.Port)
	}
	file := filepath.Join(folder, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		return nil, err
	}
	b.run = exec.Command("haproxy", "-db", "-f", file)
	b.run.Stdout, b.run.Stderr = os.Stderr, os.Stderr
	b.run.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := b.run.Start(); err != nil {
		return nil, err
	}
	if err := b.listens(); err != nil {
		b.end()
		return nil, err
	}
	return b, nil
}

var errNoBalancer = errors.New("there is no balancer")

// listens waits until HAProxy takes commands.
func (b *balancer) listens() (err error) {
	for range 100 {
		if _, err = b.tell("show info"); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}

// next is the node to connect to, as names that have several addresses have clients take turns.
func (b *balancer) next() string {
	if b == nil {
		return ""
	}
	return nodes[b.turns.Add(1)%uint32(len(nodes))]
}

// tell gives HAProxy a command, and its answer back.
func (b *balancer) tell(command string) (string, error) {
	if b == nil {
		return "", errNoBalancer
	}
	conn, err := net.DialTimeout("unix", b.socket, time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := fmt.Fprintln(conn, command); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	return string(answer), err
}

func serverOf(m *machine) string {
	return "origins/m" + m.address[strings.LastIndexByte(m.address, '.')+1:]
}

// register has new connections led to m once it is found healthy.
func (b *balancer) register(m *machine) error {
	_, err := b.tell("set server " + serverOf(m) + " state ready")
	return err
}

// deregister has no new connection led to m. Those that there are stay.
func (b *balancer) deregister(m *machine) error {
	_, err := b.tell("set server " + serverOf(m) + " state drain")
	return err
}

// remove forgets m, which is gone: its number is another's later.
func (b *balancer) remove(m *machine) error {
	_, err := b.tell("set server " + serverOf(m) + " state maint")
	_, err2 := b.tell("shutdown sessions server " + serverOf(m))
	return errors.Join(err, err2)
}

// cut ends all connections.
func (b *balancer) cut() (failed error) {
	for n := range mostTargets {
		_, err := b.tell("shutdown sessions server origins/m" + strconv.Itoa(firstTarget+n))
		failed = errors.Join(failed, err)
	}
	return failed
}

// state is what HAProxy says of m.
func (b *balancer) state(m *machine) string {
	if b == nil {
		return "-"
	}
	answer, _ := b.tell("show stat -1 4 -1")
	for line := range strings.Lines(answer) {
		if f := strings.Split(line, ","); len(f) > 17 && f[0]+"/"+f[1] == serverOf(m) {
			return strings.ReplaceAll(f[17], " ", "")
		}
	}
	return "?"
}
