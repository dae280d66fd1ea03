package main

import (
	"crypto/subtle"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// accessLine is one line of the Git server's access log.
type accessLine struct {
	Time   time.Time `json:"time"`
	Method string    `json:"method"`
	Path   string    `json:"path"`
	Query  string    `json:"query"`
	Status int       `json:"status"`
	User   string    `json:"user"`
}

type gitServer struct {
	git, root, user, password string

	mu  sync.Mutex
	log *os.File
}

// runGitServer serves bare repositories by `git http-backend`, as web servers do.
func runGitServer(args []string) error {
	server := &gitServer{password: os.Getenv("BED_GIT_PASSWORD")}
	var listen, log string
	flags := flag.NewFlagSet("git-server", flag.ExitOnError)
	flags.StringVar(&listen, "listen", "", "address to listen on")
	flags.StringVar(&server.root, "root", "", "folder of bare repositories")
	flags.StringVar(&server.user, "user", "", "the user that may fetch and push; the password is BED_GIT_PASSWORD")
	flags.StringVar(&log, "log", "", "access log")
	if err := parse(flags, args); err != nil {
		return err
	}
	if server.password == "" {
		return fmt.Errorf("git-server: BED_GIT_PASSWORD is not set")
	}
	var err error
	if server.git, err = exec.LookPath("git"); err != nil {
		return err
	}
	if server.log, err = os.OpenFile(log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644); err != nil {
		return err
	}
	return http.ListenAndServe(listen, server)
}

func (s *gitServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	user, password, _ := r.BasicAuth()
	line := accessLine{time.Now().UTC(), r.Method, r.URL.Path, r.URL.RawQuery, 0, user}
	// Written before the answer ends: who saw a push succeed finds it in the log.
	defer func() {
		line.Status = seen.status
		s.write(line)
	}()
	userOK := subtle.ConstantTimeCompare([]byte(user), []byte(s.user)) == 1
	passwordOK := subtle.ConstantTimeCompare([]byte(password), []byte(s.password)) == 1
	if !userOK || !passwordOK {
		seen.Header().Set("WWW-Authenticate", `Basic realm="git"`)
		http.Error(seen, "authentication required", http.StatusUnauthorized)
		return
	}
	if err := unchunk(r); err != nil {
		http.Error(seen, err.Error(), http.StatusBadRequest)
		return
	}
	backend := &cgi.Handler{
		Path: s.git,
		Args: []string{"http-backend"},
		Dir:  s.root,
		Env: []string{
			"GIT_PROJECT_ROOT=" + s.root,
			"GIT_HTTP_EXPORT_ALL=1",
			"GIT_PROTOCOL=" + r.Header.Get("Git-Protocol"),
			"REMOTE_USER=" + user,
			"HOME=" + filepath.Dir(s.root),
			"GIT_CONFIG_NOSYSTEM=1",
			// Bare repositories may belong to another user of the same machine.
			"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
		},
		InheritEnv: []string{"PATH"},
		Stderr:     os.Stderr,
	}
	backend.ServeHTTP(seen, r)
}

// unchunk spools a body of unknown length, as git sends for packs over http.postBuffer: CGI
// needs a Content-Length.
func unchunk(r *http.Request) error {
	if r.ContentLength >= 0 {
		return nil
	}
	spool, err := os.CreateTemp("", "git-body-")
	if err != nil {
		return err
	}
	if err := os.Remove(spool.Name()); err != nil {
		return err
	}
	length, err := io.Copy(spool, r.Body)
	if err != nil {
		return err
	}
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return err
	}
	r.Body, r.ContentLength, r.TransferEncoding = spool, length, nil
	return nil
}

func (s *gitServer) write(line accessLine) {
	text, err := json.Marshal(line)
	if err != nil {
		fmt.Fprintln(os.Stderr, "access log:", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.log.Write(append(text, '\n')); err != nil {
		fmt.Fprintln(os.Stderr, "access log:", err)
	}
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}
