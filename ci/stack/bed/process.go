package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopOrder: clients before the servers they talk to, so that none of them spends its last
// seconds in retries.
var stopOrder = []string{
	"kubectl-proxy", "argocd-server", "argocd-applicationset-controller",
	"argocd-application-controller", "argocd-repo-server",
	"redis-server", "kwok", "kubelet", "git-server", "kube-scheduler", "kube-controller-manager",
	"kube-apiserver", "etcd",
}

// program is a started process.
type program struct {
	name string
	log  string
	done chan struct{}
}

// start runs a program of its own session (a Ctrl-C at the terminal is not for it), with its
// output in a log file and its pid on record.
func (s *stack) start(name string, environment []string, argv ...string) (*program, error) {
	log := s.path("logs", name+".log")
	output, err := os.OpenFile(log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer output.Close()
	command := exec.Command(argv[0], argv[1:]...)
	command.Dir = s.state
	command.Env = append(os.Environ(), environment...)
	command.Stdout, command.Stderr = output, output
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("%s does not start: %w", name, err)
	}
	pid := command.Process.Pid
	record := fmt.Sprintf("%d %s\n", pid, birth(pid))
	if err := os.WriteFile(s.path("pids", name), []byte(record), 0o644); err != nil {
		return nil, err
	}
	started := &program{name, log, make(chan struct{})}
	go func() {
		_ = command.Wait()
		close(started.done)
	}()
	return started, nil
}

// died says that a program has ended, with the end of its log.
func (p *program) died() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s ended; the end of %s:%s", p.name, p.log, tail(p.log, 12))
	default:
		return nil
	}
}

func tail(path string, lines int) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	shown := ""
	for _, line := range all[max(0, len(all)-lines):] {
		shown += "\n  " + line[:min(len(line), 240)]
	}
	return shown
}

// birth identifies a process beyond its pid, which the system gives out again: its start time.
func birth(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err == nil {
		// The second field is the name in parentheses and may hold anything.
		rest := stat[bytes.LastIndexByte(stat, ')')+1:]
		fields := strings.Fields(string(rest))
		if len(fields) < 20 || fields[0] == "Z" {
			return ""
		}
		return fields[19]
	}
	if _, err := os.Stat("/proc/self"); err == nil {
		return ""
	}
	started, err := exec.Command("ps", "-o", "lstart=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return ""
	}
	return strings.Join(strings.Fields(string(started)), "-")
}

// recorded gives the pid on record for a program, 0 if it does not run.
func (s *stack) recorded(name string) int {
	text, err := os.ReadFile(s.path("pids", name))
	if err != nil {
		return 0
	}
	first, started, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	pid, err := strconv.Atoi(first)
	if err != nil || started == "" || birth(pid) != started {
		return 0
	}
	return pid
}

// stopAll ends every recorded program and waits for it: the next start finds the ports free.
func (s *stack) stopAll() error {
	var failed []string
	stop := func(name string) bool {
		pid := s.recorded(name)
		for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
			if pid == 0 {
				break
			}
			_ = syscall.Kill(pid, signal)
			for range 300 {
				if s.recorded(name) == 0 {
					pid = 0
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
		}
		_ = os.Remove(s.path("pids", name))
		return pid == 0
	}
	// etcd last: the apiserver takes seconds to give up on a storage that went away.
	for _, group := range [][]string{stopOrder[:len(stopOrder)-2], {"kube-apiserver"}, {"etcd"}} {
		var wait sync.WaitGroup
		var mu sync.Mutex
		for _, name := range group {
			wait.Go(func() {
				if !stop(name) {
					mu.Lock()
					defer mu.Unlock()
					failed = append(failed, name)
				}
			})
		}
		wait.Wait()
	}
	if len(failed) > 0 {
		return fmt.Errorf("still running after SIGKILL: %s", strings.Join(failed, ", "))
	}
	return nil
}

// path names a file in the state folder.
func (s *stack) path(parts ...string) string {
	return filepath.Join(append([]string{s.state}, parts...)...)
}
