package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// pod is the little that container logs need to know.
type pod struct {
	Metadata struct {
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Status struct {
		StartTime         time.Time `json:"startTime"`
		ContainerStatuses []struct {
			Name         string         `json:"name"`
			Image        string         `json:"image"`
			RestartCount int            `json:"restartCount"`
			State        map[string]any `json:"state"`
			LastState    map[string]any `json:"lastState"`
		} `json:"containerStatuses"`
	} `json:"status"`
}

// moreLines is an annotation of a pod: so many more lines are in its logs.
const moreLines = "unship.test/log-lines"

// runKubelet answers the apiserver's requests for container logs. kwok can serve logs as well,
// but chooses them by the pod's name alone, while here they follow from the pod's state as a
// kubelet's do: a container that never started has none, one that never restarted has no
// previous ones.
func runKubelet(args []string) error {
	var listen, server, pki string
	flags := flag.NewFlagSet("kubelet", flag.ExitOnError)
	flags.StringVar(&listen, "listen", "", "address to listen on")
	flags.StringVar(&server, "server", "", "URL of the apiserver")
	flags.StringVar(&pki, "pki", "", "folder of keys and certificates")
	if err := parse(flags, args); err != nil {
		return err
	}
	api, err := client(pki, "kubelet")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", func(w http.ResponseWriter, r *http.Request) {
		url := fmt.Sprintf("%s/api/v1/namespaces/%s/pods/%s", server, r.PathValue("namespace"), r.PathValue("pod"))
		response, err := api.Get(url)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer response.Body.Close()
		var found pod
		if err := json.NewDecoder(response.Body).Decode(&found); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		lines, err := containerLog(&found, r.PathValue("pod"), r.PathValue("container"), r.URL.Query().Get("previous") == "true")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		writeLog(w, r, found.Status.StartTime, lines)
	})
	return http.ListenAndServeTLS(listen, pki+"/serving.crt", pki+"/serving.key", mux)
}

// containerLog chooses the lines by the container's state; its refusals are a kubelet's.
func containerLog(found *pod, name, container string, previous bool) ([]string, error) {
	for _, c := range found.Status.ContainerStatuses {
		if c.Name != container {
			continue
		}
		if _, waiting := c.State["waiting"]; waiting && len(c.LastState) == 0 {
			return nil, fmt.Errorf("container %q in pod %q is waiting to start: trying and failing to pull image", container, name)
		}
		if previous && len(c.LastState) == 0 {
			return nil, fmt.Errorf("previous terminated container %q in pod %q not found", container, name)
		}
		started := []string{"starting " + c.Image, "reading configuration"}
		more, _ := strconv.Atoi(found.Metadata.Annotations[moreLines])
		for n := range max(0, more) {
			started = append(started, fmt.Sprintf("request served code=200 bytes=1184 number=%d", n))
		}
		if strings.Contains(fmt.Sprint(c.LastState), "OOMKilled") {
			return append(started, "listening on :8080", "loading tokenizer"), nil
		}
		if len(c.LastState) > 0 {
			return append(started, "panic: runtime error: invalid memory address or nil pointer dereference",
				"goroutine 1 [running]:", "main.loadConfig(...)", "exit status 1"), nil
		}
		return append(started, "listening on :8080"), nil
	}
	return nil, fmt.Errorf("container %q in pod %q is not available", container, name)
}

// writeLog obeys timestamps and tailLines.
func writeLog(w http.ResponseWriter, r *http.Request, start time.Time, lines []string) {
	if r.URL.Query().Get("timestamps") == "true" {
		for i, line := range lines {
			lines[i] = start.Add(time.Duration(i)*time.Millisecond).UTC().Format(time.RFC3339Nano) + " " + line
		}
	}
	if last, err := strconv.Atoi(r.URL.Query().Get("tailLines")); err == nil && last >= 0 {
		lines = lines[max(0, len(lines)-last):]
	}
	w.Header().Set("Content-Type", "text/plain")
	if len(lines) > 0 {
		fmt.Fprint(w, strings.Join(lines, "\n")+"\n")
	}
}
