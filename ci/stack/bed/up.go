package main

import (
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"hash/fnv"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

//go:embed manifests/cluster.yaml
var clusterManifests string

//go:embed manifests/identities.yaml
var identityManifests string

//go:embed manifests/policies.yaml
var policyManifests string

//go:embed manifests/audit.yaml
var auditPolicy string

//go:embed manifests/argocd.yaml
var argocdManifests string

const (
	gitUser   = "devpod"
	serverURL = "https://kubernetes.default.svc"
	// Long enough that a bed which is left running for days still works.
	tokenLife = 720 * time.Hour
)

// portNames are the listeners that get a port; the numbers live in the state folder, since
// Applications and clones hold URLs with them.
var portNames = []string{
	"etcd", "etcd-peer", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet",
	"kwok", "redis", "git", "repo-server", "repo-server-metrics", "controller-metrics", "argocd-server",
	"argocd-server-metrics", "kubectl-proxy", "applicationset-metrics", "applicationset-probe",
	"applicationset-webhook",
}

// Ports come from below the range that systems use for outgoing connections, in blocks: which
// block follows from the state folder, so that test beds which run in turns do not meet.
const (
	firstPort = 21700
	blocks    = 400
	blockSize = 20
)

// stack is one test bed: a folder of state, a folder of programs.
type stack struct {
	state, bin, argocd string

	ports     map[string]int
	passwords map[string]string
	admin     *http.Client
	plain     *http.Client
	began     time.Time
}

func runUp(args []string) error {
	s := &stack{began: time.Now(), plain: &http.Client{Timeout: 10 * time.Second}}
	var fresh bool
	flags := flag.NewFlagSet("up", flag.ExitOnError)
	flags.StringVar(&s.state, "state", "", "state folder")
	flags.StringVar(&s.bin, "bin", "", "folder of programs")
	flags.StringVar(&s.argocd, "argocd-manifests", "", "Argo CD's own manifests")
	flags.BoolVar(&fresh, "fresh", false, "throw the state of earlier runs away")
	if err := parse(flags, args); err != nil {
		return err
	}
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if !fresh && s.healthy() {
		s.progress("already running")
		fmt.Println(s.path("env"))
		return nil
	}
	if err := s.stopAll(); err != nil {
		return err
	}
	if err := s.prepare(fresh); err != nil {
		return err
	}
	if err := s.startAll(); err != nil {
		if stopped := s.stopAll(); stopped != nil {
			fmt.Fprintln(os.Stderr, stopped)
		}
		return err
	}
	s.progress("up")
	fmt.Println(s.path("env"))
	return nil
}

func runDown(args []string) error {
	s := &stack{began: time.Now()}
	flags := flag.NewFlagSet("down", flag.ExitOnError)
	flags.StringVar(&s.state, "state", "", "state folder")
	if err := parse(flags, args); err != nil {
		return err
	}
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.stopAll(); err != nil {
		return err
	}
	s.progress("down")
	return nil
}

func (s *stack) progress(format string, values ...any) {
	fmt.Fprintf(os.Stderr, "stack %5.1fs  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, values...))
}

// lock keeps a second up or down out until this one has ended.
func (s *stack) lock() (func(), error) {
	if err := os.MkdirAll(s.state, 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(s.path("lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return nil, err
	}
	return func() { _ = file.Close() }, nil
}

// healthy tells whether everything that an earlier up started, with the same programs, runs and
// answers.
func (s *stack) healthy() bool {
	text, err := os.ReadFile(s.path("env"))
	if err != nil || !strings.Contains(string(text), variable("UNSHIP_WORLD_BIN", s.bin)) {
		return false
	}
	for _, name := range stopOrder {
		if s.recorded(name) == 0 {
			return false
		}
	}
	if err := s.load(); err != nil {
		return false
	}
	return answers(s.admin, s.apiserver()+"/readyz") == nil &&
		answers(s.plain, s.url("argocd-server")+"/healthz") == nil &&
		answers(s.plain, s.url("kubectl-proxy")+"/version") == nil
}

// prepare fills the state folder: keys, ports, passwords and configuration files. What an
// earlier run left is used again.
func (s *stack) prepare(fresh bool) error {
	kept := map[string]bool{"lock": true}
	entries, err := os.ReadDir(s.state)
	if err != nil {
		return err
	}
	fresh = fresh || s.load() != nil
	for _, entry := range entries {
		if fresh && !kept[entry.Name()] {
			if err := os.RemoveAll(s.path(entry.Name())); err != nil {
				return err
			}
		}
	}
	_ = os.Remove(s.path("env"))
	for _, folder := range []string{"pids", "logs", "git", "etcd", "empty", "tmp"} {
		if err := os.MkdirAll(s.path(folder), 0o755); err != nil {
			return err
		}
	}
	if fresh {
		if err := s.choose(); err != nil {
			return err
		}
	}
	if err := s.load(); err != nil {
		return err
	}
	if err := s.portsFree(); err != nil {
		return err
	}
	return s.writeConfiguration()
}

// settings are what must stay the same from one start to the next.
type settings struct {
	Ports     map[string]int
	Passwords map[string]string
}

func (s *stack) choose() error {
	if err := makePKI(s.path("pki")); err != nil {
		return err
	}
	chosen := settings{map[string]int{}, map[string]string{}}
	if err := s.choosePorts(chosen.Ports); err != nil {
		return err
	}
	secret := make([]byte, 18)
	if _, err := rand.Read(secret); err != nil {
		return err
	}
	chosen.Passwords["git"] = base64.RawURLEncoding.EncodeToString(secret)
	return s.keep(chosen)
}

// choosePorts gives every listener that has no port yet a free one.
func (s *stack) choosePorts(ports map[string]int) error {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(s.state))
	block := firstPort + int(hash.Sum32()%blocks)*blockSize
	taken := map[int]bool{}
	for _, port := range ports {
		taken[port] = true
	}
	next := block
	for _, name := range portNames {
		if ports[name] != 0 {
			continue
		}
		for ; ; next++ {
			if next > block+1000 {
				return fmt.Errorf("no free port for %s in %d-%d", name, block, next)
			}
			if taken[next] {
				continue
			}
			if listener, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(next)); err == nil {
				_ = listener.Close()
				break
			}
		}
		ports[name] = next
		next++
	}
	return nil
}

func (s *stack) keep(chosen settings) error {
	text, err := json.MarshalIndent(chosen, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(s.path("settings.json"), append(text, '\n'), 0o600)
}

func (s *stack) load() error {
	text, err := os.ReadFile(s.path("settings.json"))
	if err != nil {
		return err
	}
	var kept settings
	if err := json.Unmarshal(text, &kept); err != nil {
		return fmt.Errorf("%s: %w", s.path("settings.json"), err)
	}
	// State of an earlier version has no port for a listener that came later.
	known := len(kept.Ports)
	if err := s.choosePorts(kept.Ports); err != nil {
		return err
	}
	if len(kept.Ports) > known {
		if err := s.keep(kept); err != nil {
			return err
		}
	}
	s.ports, s.passwords = kept.Ports, kept.Passwords
	s.admin, err = client(s.path("pki"), "admin")
	return err
}

// portsFree finds out before anything starts that a port of an earlier run is taken by now. A
// program that has just ended may hold its port a moment longer, until its last thread is gone.
func (s *stack) portsFree() error {
	for name, port := range s.ports {
		err := until(name, 3*time.Second, nil, func() error {
			listener, err := net.Listen("tcp", s.address(name))
			if err == nil {
				err = listener.Close()
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("port %d is taken by another program; `ci/stack/up --fresh` chooses other ports: %w", port, err)
		}
	}
	return nil
}

func (s *stack) address(name string) string { return fmt.Sprintf("127.0.0.1:%d", s.ports[name]) }
func (s *stack) url(name string) string     { return "http://" + s.address(name) }
func (s *stack) apiserver() string          { return "https://" + s.address("kube-apiserver") }
func (s *stack) pki(name string) string     { return s.path("pki", name) }
func (s *stack) program(name string) string { return filepath.Join(s.bin, name) }

func (s *stack) writeConfiguration() error {
	for name := range identities {
		name = strings.TrimPrefix(name, "system:")
		credentials := fmt.Sprintf("{client-certificate: %q, client-key: %q}", s.pki(name+".crt"), s.pki(name+".key"))
		if err := s.writeKubeconfig(name, s.apiserver(), "default", credentials); err != nil {
			return err
		}
	}
	if err := s.writeKubeconfig("observer-proxy", s.url("kubectl-proxy"), "default", ""); err != nil {
		return err
	}
	for file, text := range map[string]string{"audit.yaml": auditPolicy, "kwok.yaml": kwokConfiguration()} {
		if err := os.WriteFile(s.path(file), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (s *stack) kubeconfigPath(name string) string { return s.path(name + ".kubeconfig") }

func (s *stack) writeKubeconfig(name, server, namespace, credentials string) error {
	ca := s.pki("ca.crt")
	if strings.HasPrefix(server, "http:") {
		ca = ""
	}
	text, err := kubeconfig(server, ca, namespace, credentials)
	if err != nil {
		return err
	}
	return os.WriteFile(s.kubeconfigPath(name), []byte(text), 0o600)
}

// apply has kubectl apply files and standard input, as one field manager.
func (s *stack) apply(input, manager string, args ...string) error {
	command := exec.Command(s.program("kubectl"), append([]string{
		"--kubeconfig", s.kubeconfigPath("admin"), "apply", "--server-side", "--force-conflicts", "--field-manager=" + manager,
	}, args...)...)
	command.Stdin = strings.NewReader(input)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl apply: %w\n%s", err, out)
	}
	return nil
}

// token makes a kubeconfig for a ServiceAccount.
func (s *stack) token(namespace, account, file string) error {
	url := fmt.Sprintf("%s/api/v1/namespaces/%s/serviceaccounts/%s/token", s.apiserver(), namespace, account)
	request := map[string]any{
		"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
		"spec": map[string]any{"expirationSeconds": int(tokenLife.Seconds())},
	}
	var answer struct{ Status struct{ Token string } }
	if err := postJSON(s.admin, url, "", request, &answer); err != nil {
		return err
	}
	return s.writeKubeconfig(file, s.apiserver(), namespace, "{token: "+answer.Status.Token+"}")
}
