package main

import (
	"os"
	"path/filepath"
	"strings"
)

// kubernetesWriters are the ServiceAccounts that may write to Kubernetes, argocdWriters the
// accounts that may write to Argo CD. `operator` is both.
var (
	kubernetesWriters = []string{"deployer", "scaler", "operator"}
	argocdWriters     = []string{"operator", "syncer"}
	// kubernetesOthers are all ServiceAccounts besides the observer.
	kubernetesOthers = append([]string{"logless"}, kubernetesWriters...)
)

// writes are what the plans of one identity said that they would write.
type writes map[string]bool

// plans are the writes by identity.
type plans map[string]writes

// include: said to the letter, or by a place that ends with "*".
func (w writes) include(written string) bool {
	for said := range w {
		if start, ok := strings.CutSuffix(said, "*"); ok && strings.HasPrefix(written, start) {
			return true
		}
	}
	return w[written]
}

// kubernetes counts those that go to the apiserver.
func (w writes) kubernetes() int {
	count := 0
	for write := range w {
		if !strings.HasPrefix(write, "argocd ") {
			count++
		}
	}
	return count
}

// readPlans reads IDENTITY.txt, one write a line, from the folder in UNSHIP_WORLD_PLANS, where
// the scenarios put them. Without that folder, or without a file in it, nothing was planned.
func readPlans() (plans, error) {
	read := plans{}
	folder := os.Getenv("UNSHIP_WORLD_PLANS")
	for _, identity := range append(append([]string{}, kubernetesWriters...), argocdWriters...) {
		read[identity] = writes{}
		if folder == "" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(folder, identity+".txt"))
		if err != nil && !os.IsNotExist(err) {
			return nil, err
		}
		for line := range strings.Lines(string(text)) {
			if write := strings.TrimSpace(line); write != "" {
				read[identity][write] = true
			}
		}
	}
	return read, nil
}
