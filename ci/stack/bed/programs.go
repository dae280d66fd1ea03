package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// all runs the parts at the same time and gives the first error.
func all(parts ...func() error) error {
	results := make([]error, len(parts))
	var wait sync.WaitGroup
	for i, part := range parts {
		wait.Go(func() { results[i] = part() })
	}
	wait.Wait()
	return errors.Join(results...)
}

// startAll starts everything in as few waves as the dependencies allow.
func (s *stack) startAll() error {
	if err := all(s.startStorage, s.startRedis, s.startGit, s.startRepoServer); err != nil {
		return err
	}
	if err := s.startAPIServer(); err != nil {
		return err
	}
	manifests := strings.Join([]string{clusterManifests, identityManifests, policyManifests}, "---\n")
	if err := s.apply(manifests, "unship-stack", "-f", "-"); err != nil {
		return err
	}
	s.progress("apiserver ready")
	if err := all(s.startControllers, s.startNodes, s.startArgoCD, s.startObserver); err != nil {
		return err
	}
	return s.finish()
}

func (s *stack) startStorage() error {
	client, peer := s.url("etcd"), s.url("etcd-peer")
	etcd, err := s.start("etcd", nil, s.program("etcd"), "--data-dir="+s.path("etcd"),
		"--listen-client-urls="+client, "--advertise-client-urls="+client,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer,
		"--initial-cluster=default="+peer, "--unsafe-no-fsync=true", "--log-level=warn")
	if err != nil {
		return err
	}
	return until("etcd", 30*time.Second, []*program{etcd}, func() error { return answers(s.plain, client+"/health") })
}

func (s *stack) startRedis() error {
	_, err := s.start("redis-server", nil, s.program("redis-server"), "--address="+s.address("redis"))
	return err
}

func (s *stack) startGit() error {
	server, err := s.start("git-server", []string{"BED_GIT_PASSWORD=" + s.passwords["git"]}, s.program("bed"),
		"git-server", "--listen="+s.address("git"), "--root="+s.path("git"), "--user="+gitUser, "--log="+s.path("logs", "git-access.log"))
	if err != nil {
		return err
	}
	return until("git-server", 10*time.Second, []*program{server}, func() error {
		response, err := s.plain.Get(s.url("git"))
		if err == nil {
			_ = response.Body.Close()
		}
		return err
	})
}

// argocdEnvironment is what the manifests' Deployments would set, with short polls.
func (s *stack) argocdEnvironment(kubeconfig string) []string {
	environment := []string{
		"PATH=" + s.bin + string(filepath.ListSeparator) + os.Getenv("PATH"),
		"TMPDIR=" + s.path("tmp"),
		"ARGOCD_FAKE_IN_CLUSTER=true", // makes https://kubernetes.default.svc mean KUBECONFIG
		"ARGOCD_ASK_PASS_SOCK=" + s.path("ask-pass.sock"),
		"ARGOCD_GPG_ENABLED=false",
		"ARGOCD_RECONCILIATION_TIMEOUT=10s",
		"ARGOCD_RECONCILIATION_JITTER=0s",
		"ARGOCD_REPO_ERROR_GRACE_PERIOD_SECONDS=0",
		"KUBECONFIG=" + kubeconfig,
	}
	for _, name := range []string{"TLS_DATA_PATH", "SSH_DATA_PATH", "GNUPGHOME", "GPG_DATA_PATH", "PLUGINSOCKFILEPATH"} {
		environment = append(environment, "ARGOCD_"+name+"="+s.path("empty"))
	}
	return environment
}

func (s *stack) startRepoServer() error {
	_, err := s.start("argocd-repo-server", s.argocdEnvironment(""), s.program("argocd-repo-server"),
		"--address=127.0.0.1", fmt.Sprintf("--port=%d", s.ports["repo-server"]),
		"--metrics-address=127.0.0.1", fmt.Sprintf("--metrics-port=%d", s.ports["repo-server-metrics"]),
		"--redis="+s.address("redis"))
	return err
}

func (s *stack) startAPIServer() error {
	apiserver, err := s.start("kube-apiserver", nil, s.program("kube-apiserver"),
		"--etcd-servers="+s.url("etcd"), "--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", s.ports["kube-apiserver"]), "--advertise-address=127.0.0.1",
		"--endpoint-reconciler-type=none", "--cert-dir="+s.path("tmp"),
		"--tls-cert-file="+s.pki("serving.crt"), "--tls-private-key-file="+s.pki("serving.key"),
		"--client-ca-file="+s.pki("ca.crt"), "--service-account-issuer="+serverURL,
		"--service-account-key-file="+s.pki("sa.pub"), "--service-account-signing-key-file="+s.pki("sa.key"),
		"--service-cluster-ip-range=10.0.0.0/24", "--authorization-mode=Node,RBAC", "--allow-privileged=true",
		"--kubelet-preferred-address-types=InternalIP,Hostname", "--shutdown-delay-duration=0s",
		"--audit-policy-file="+s.path("audit.yaml"), "--audit-log-path="+s.path("logs", "audit.log"), "--audit-log-maxsize=1000")
	if err != nil {
		return err
	}
	return until("kube-apiserver", 60*time.Second, []*program{apiserver}, func() error {
		return answers(s.admin, s.apiserver()+"/readyz")
	})
}

func (s *stack) startControllers() error {
	for _, name := range []string{"kube-controller-manager", "kube-scheduler"} {
		config := s.kubeconfigPath(name)
		argv := []string{s.program(name), "--kubeconfig=" + config, "--authentication-kubeconfig=" + config,
			"--authorization-kubeconfig=" + config, "--leader-elect=false", "--bind-address=127.0.0.1",
			"--cert-dir=" + s.path("tmp"), fmt.Sprintf("--secure-port=%d", s.ports[name])}
		if name == "kube-controller-manager" {
			argv = append(argv, "--service-account-private-key-file="+s.pki("sa.key"),
				"--root-ca-file="+s.pki("ca.crt"), "--use-service-account-credentials=true")
		}
		if _, err := s.start(name, nil, argv...); err != nil {
			return err
		}
	}
	return until("kube-controller-manager", 60*time.Second, nil, func() error {
		return answers(s.admin, s.apiserver()+"/api/v1/namespaces/default/serviceaccounts/default")
	})
}

func (s *stack) startNodes() error {
	kubelet, err := s.start("kubelet", nil, s.program("bed"), "kubelet", "--listen="+s.address("kubelet"),
		"--server="+s.apiserver(), "--pki="+s.path("pki"))
	if err != nil {
		return err
	}
	if err := s.forgetLeases(); err != nil {
		return err
	}
	kwok, err := s.start("kwok", nil, s.program("kwok"), "--kubeconfig="+s.kubeconfigPath("kwok"),
		"--config="+s.path("kwok.yaml"), "--manage-all-nodes=true", "--cidr=10.1.0.0/16", "--server-address="+s.address("kwok"),
		"--node-ip=127.0.0.1", "--node-name=localhost", fmt.Sprintf("--node-port=%d", s.ports["kubelet"]),
		"--node-lease-duration-seconds=40")
	if err != nil {
		return err
	}
	return until("nodes", 60*time.Second, []*program{kubelet, kwok}, s.nodesReady)
}

func (s *stack) leases() string {
	return s.apiserver() + "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
}

// forgetLeases lets a new kwok take over the nodes at once: the one of an earlier run holds their
// leases for 40 seconds, in which no pod would start.
func (s *stack) forgetLeases() error {
	request, err := http.NewRequest(http.MethodDelete, s.leases(), nil)
	if err != nil {
		return err
	}
	response, err := s.admin.Do(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// nodesReady: kwok holds every node's lease, and every node is Ready.
func (s *stack) nodesReady() error {
	var held struct{ Items []any }
	if err := getJSON(s.admin, s.leases(), &held); err != nil {
		return err
	}
	var nodes struct {
		Items []struct {
			Metadata struct{ Name string }
			Status   struct {
				Conditions []struct{ Type, Status string }
			}
		}
	}
	if err := getJSON(s.admin, s.apiserver()+"/api/v1/nodes", &nodes); err != nil {
		return err
	}
	if len(held.Items) < len(nodes.Items) {
		return fmt.Errorf("kwok holds %d leases of %d nodes", len(held.Items), len(nodes.Items))
	}
	for _, node := range nodes.Items {
		ready := false
		for _, condition := range node.Status.Conditions {
			ready = ready || condition.Type == "Ready" && condition.Status == "True"
		}
		if !ready {
			return fmt.Errorf("node %s is not ready", node.Metadata.Name)
		}
	}
	return nil
}

func (s *stack) startObserver() error {
	if err := s.token("devpod", "devpod-observer", "observer"); err != nil {
		return err
	}
	for _, other := range kubernetesOthers {
		if err := s.token("devpod", other, other); err != nil {
			return err
		}
	}
	proxy, err := s.start("kubectl-proxy", nil, s.program("kubectl"), "--kubeconfig", s.kubeconfigPath("observer"),
		"proxy", "--address=127.0.0.1", fmt.Sprintf("--port=%d", s.ports["kubectl-proxy"]))
	if err != nil {
		return err
	}
	return until("kubectl-proxy", 30*time.Second, []*program{proxy}, func() error {
		return answers(s.plain, s.url("kubectl-proxy")+"/version")
	})
}

func (s *stack) startArgoCD() error {
	if err := s.applyArgoCD(); err != nil {
		return err
	}
	s.progress("Argo CD's objects created")
	if err := all(
		func() error {
			return s.token("argocd", "argocd-application-controller", "argocd-application-controller")
		},
		func() error { return s.token("argocd", "argocd-server", "argocd-server") },
		func() error {
			return s.token("argocd", "argocd-applicationset-controller", "argocd-applicationset-controller")
		},
	); err != nil {
		return err
	}
	common := []string{"--redis=" + s.address("redis"), "--repo-server=" + s.address("repo-server"), "--logformat=json"}
	// Its metrics port is the one listener that cannot be bound to loopback in this release.
	controller, err := s.start("argocd-application-controller",
		s.argocdEnvironment(s.kubeconfigPath("argocd-application-controller")),
		append([]string{s.program("argocd-application-controller"), fmt.Sprintf("--metrics-port=%d", s.ports["controller-metrics"])}, common...)...)
	if err != nil {
		return err
	}
	server, err := s.start("argocd-server", s.argocdEnvironment(s.kubeconfigPath("argocd-server")),
		append([]string{s.program("argocd-server"), "--insecure", "--address=127.0.0.1",
			fmt.Sprintf("--port=%d", s.ports["argocd-server"]), "--metrics-address=127.0.0.1",
			fmt.Sprintf("--metrics-port=%d", s.ports["argocd-server-metrics"]), "--dex-server=http://127.0.0.1:5556"}, common...)...)
	if err != nil {
		return err
	}
	sets, err := s.start("argocd-applicationset-controller",
		s.argocdEnvironment(s.kubeconfigPath("argocd-applicationset-controller")),
		s.program("argocd-applicationset-controller"), "--namespace=argocd", "--logformat=json",
		"--argocd-repo-server="+s.address("repo-server"), "--metrics-addr="+s.address("applicationset-metrics"),
		"--probe-addr="+s.address("applicationset-probe"), "--webhook-addr="+s.address("applicationset-webhook"))
	if err != nil {
		return err
	}
	for _, ready := range []string{
		s.url("applicationset-metrics") + "/metrics",
		s.url("repo-server-metrics") + "/healthz?full=true",
		s.url("controller-metrics") + "/healthz",
		s.url("argocd-server") + "/healthz",
	} {
		if err := until(ready, 60*time.Second, []*program{controller, server, sets}, func() error { return answers(s.plain, ready) }); err != nil {
			return err
		}
	}
	return nil
}

// applyArgoCD creates what Argo CD's own manifests say, without its Deployments, and our settings
// under a field manager of their own: they add to its ConfigMaps. The CRDs are too large for a
// client-side apply.
func (s *stack) applyArgoCD() error {
	own := strings.NewReplacer("@GIT_URL@", s.url("git"), "@GIT_USER@", gitUser, "@GIT_PASSWORD@", s.passwords["git"]).Replace(argocdManifests)
	objects := []string{"-n", "argocd"}
	for _, pattern := range []string{
		"base/config/argocd-*.yaml", "base/application-controller-roles/argocd-*.yaml", "cluster-rbac/*/argocd-*.yaml",
		"base/server/argocd-server-sa.yaml", "base/server/argocd-server-role.yaml", "base/server/argocd-server-rolebinding.yaml",
		"base/applicationset-controller/argocd-applicationset-controller-sa.yaml",
		"base/applicationset-controller/argocd-applicationset-controller-role.yaml",
		"base/applicationset-controller/argocd-applicationset-controller-rolebinding.yaml",
	} {
		files, err := filepath.Glob(filepath.Join(s.argocd, pattern))
		if err != nil {
			return err
		}
		for _, file := range files {
			objects = append(objects, "-f", file)
		}
	}
	return all(
		func() error {
			if err := s.apply("", "argocd", "-k", filepath.Join(s.argocd, "crds")); err != nil {
				return err
			}
			return until("the CRDs of Argo CD", 30*time.Second, nil, func() error {
				group := s.apiserver() + "/apis/argoproj.io/v1alpha1/"
				return errors.Join(answers(s.admin, group+"applications"),
					answers(s.admin, group+"applicationsets"), answers(s.admin, group+"appprojects"))
			})
		},
		func() error { return s.apply("", "argocd", objects...) },
		func() error { return s.apply(own, "unship-stack", "-f", "-") },
	)
}

// finish asks Argo CD for the tokens and writes the environment file, by which a later up knows
// that this one came to its end.
func (s *stack) finish() error {
	var secret struct{ Data struct{ Password []byte } }
	if err := until("the admin's first password", 30*time.Second, nil, func() error {
		return getJSON(s.admin, s.apiserver()+"/api/v1/namespaces/argocd/secrets/argocd-initial-admin-secret", &secret)
	}); err != nil {
		return err
	}
	var answer struct{ Token string }
	argocd := s.url("argocd-server") + "/api/v1"
	if err := until("Argo CD's session", 30*time.Second, nil, func() error {
		return postJSON(s.plain, argocd+"/session", "", map[string]string{"username": "admin", "password": string(secret.Data.Password)}, &answer)
	}); err != nil {
		return err
	}
	session, tokens := answer.Token, map[string]string{}
	for _, account := range append([]string{"admin", "devpod"}, argocdWriters...) {
		if err := until("Argo CD's token for "+account, 30*time.Second, nil, func() error {
			return postJSON(s.plain, argocd+"/account/"+account+"/token", session, map[string]int{"expiresIn": 0}, &answer)
		}); err != nil {
			return err
		}
		tokens[account] = answer.Token
	}
	// What kept state makes look ready may lack the program that keeps it so.
	for _, name := range stopOrder {
		if s.recorded(name) == 0 {
			return fmt.Errorf("%s has ended; the end of its log:%s", name, tail(s.path("logs", name+".log"), 12))
		}
	}
	return s.writeEnvironment(tokens)
}

func (s *stack) writeEnvironment(tokens map[string]string) error {
	pairs := [][2]string{
		{"KUBECONFIG", s.kubeconfigPath("observer")},
		{"ARGOCD_SERVER", s.url("argocd-server")},
		{"ARGOCD_AUTH_TOKEN", tokens["devpod"]},
		{"UNSHIP_WORLD", "stack"},
		{"UNSHIP_WORLD_DIR", s.state},
		{"UNSHIP_WORLD_BIN", s.bin},
		{"UNSHIP_WORLD_ADMIN_KUBECONFIG", s.kubeconfigPath("admin")},
		{"UNSHIP_WORLD_PROXY_KUBECONFIG", s.kubeconfigPath("observer-proxy")},
		{"UNSHIP_WORLD_ADMIN_ARGOCD_TOKEN", tokens["admin"]},
		{"UNSHIP_WORLD_GIT_ROOT", s.path("git")},
		{"UNSHIP_WORLD_GIT_URL", s.url("git")},
		{"UNSHIP_WORLD_GIT_USER", gitUser},
		{"UNSHIP_WORLD_GIT_PASSWORD", s.passwords["git"]},
		{"UNSHIP_WORLD_AUDIT_LOG", s.path("logs", "audit.log")},
		{"UNSHIP_WORLD_ARGOCD_LOG", s.path("logs", "argocd-server.log")},
		{"UNSHIP_WORLD_GIT_LOG", s.path("logs", "git-access.log")},
	}
	for _, other := range kubernetesOthers {
		pairs = append(pairs, [2]string{"UNSHIP_WORLD_" + strings.ToUpper(other) + "_KUBECONFIG", s.kubeconfigPath(other)})
	}
	for _, writer := range argocdWriters {
		pairs = append(pairs, [2]string{"UNSHIP_WORLD_" + strings.ToUpper(writer) + "_ARGOCD_TOKEN", tokens[writer]})
	}
	var text strings.Builder
	for _, pair := range pairs {
		text.WriteString(variable(pair[0], pair[1]))
	}
	return os.WriteFile(s.path("env"), []byte(text.String()), 0o600)
}

// variable is one line of the environment file.
func variable(name, value string) string {
	return fmt.Sprintf("export %s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
}
