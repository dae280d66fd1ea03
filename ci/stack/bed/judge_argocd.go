package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
)

// argocdReads are the prefixes of Argo CD's gRPC methods that change nothing.
var argocdReads = []string{
	"Get", "List", "Watch", "CanI", "ResourceTree", "ManagedResources", "RevisionMetadata",
	"RevisionChartDetails", "PodLogs", "Version", "Check", "ServerSideDiff",
}

// argocdVerbs are a plan's words for the methods that write to an Application; any other method
// is its own word, which no plan says.
var argocdVerbs = map[string]string{
	"Sync": "sync", "Rollback": "rollback", "TerminateOperation": "terminate",
	"Patch": "patch", "Update": "patch", "UpdateSpec": "patch",
}

// call is a call that argocd-server received and that is no read. It logs the caller and the
// request when it receives a call, and the outcome, without them, when the call is over.
type call struct {
	account, method, project, name string
}

func (c call) String() string {
	return fmt.Sprintf("%s: %s of %s/%s", c.account, c.method, c.project, c.name)
}

// in tells whether a plan said so. A request may leave the project out; then the name decides.
func (c call) in(said writes) bool {
	verb, known := argocdVerbs[c.method]
	if !known {
		return false
	}
	if c.project != "" {
		return said[fmt.Sprintf("argocd %s %s/%s", verb, c.project, c.name)]
	}
	for write := range said {
		words := strings.Fields(write)
		if len(words) == 3 && words[0] == "argocd" && words[1] == verb && strings.HasSuffix(words[2], "/"+c.name) {
			return true
		}
	}
	return false
}

// received reads the line of a call that is no read.
func received(line map[string]any) (call, bool) {
	method := field(line, "grpc.method")
	if !strings.HasPrefix(field(line, "msg"), "received ") || method == "" || isArgoCDRead(method) {
		return call{}, false
	}
	var claims struct{ Sub string }
	_ = json.Unmarshal([]byte(field(line, "grpc.request.claims")), &claims)
	account, _, _ := strings.Cut(claims.Sub, ":")
	return call{
		account: account, method: method,
		project: field(line, "grpc.request.content", "project"),
		name:    field(line, "grpc.request.content", "name"),
	}, true
}

func isArgoCDRead(method string) bool {
	return slices.ContainsFunc(argocdReads, func(prefix string) bool { return strings.HasPrefix(method, prefix) })
}

// judgeArgoCD: the read-only account called nothing that writes, the others what their plans
// said, and nobody was denied a write, which the admin never is.
func judgeArgoCD(v *verdict, lines []map[string]any, said plans) {
	reads, others := 0, map[string]int{}
	written := map[string][]call{}
	var byDevpod, denied []string
	for _, line := range lines {
		method, code := field(line, "grpc.method"), field(line, "grpc.code")
		if c, ok := received(line); ok {
			switch {
			case c.account == "devpod":
				byDevpod = append(byDevpod, c.String())
			case slices.Contains(argocdWriters, c.account):
				written[c.account] = append(written[c.account], c)
			default:
				others[c.account+" "+method]++
			}
		}
		switch refused := code == "PermissionDenied" || code == "Unauthenticated"; {
		case method == "" || code == "":
		case isArgoCDRead(method):
			reads++
		case refused:
			denied = append(denied, fmt.Sprintf("%s.%s -> %s: %s", field(line, "grpc.service"), method, code, field(line, "grpc.error")))
		}
	}
	v.check(fmt.Sprintf("no denied write at argocd-server (%d reads; writes by others: %v)", reads, others), denied)
	v.check("Argo CD's account devpod called nothing that writes", byDevpod)
	for _, account := range argocdWriters {
		var unplanned []string
		for _, c := range written[account] {
			if !c.in(said[account]) {
				unplanned = append(unplanned, "in no plan: "+c.String())
			}
		}
		v.check(fmt.Sprintf("Argo CD's account %s called only what its plans said (%d calls)", account, len(written[account])), unplanned)
	}
}

// judgeRights: the account's token must not be able to write: what was never tried could still
// have been possible.
func judgeRights(v *verdict) {
	var objections []string
	for _, action := range []string{"sync", "override", "update", "delete", "action"} {
		answer, err := canI(action)
		switch {
		case err != nil:
			objections = append(objections, err.Error())
		case answer != "no":
			objections = append(objections, fmt.Sprintf("can-i %s applications: %q", action, answer))
		}
	}
	v.check("Argo CD's account may not sync, override, update, delete or run actions", objections)
}

func canI(action string) (string, error) {
	request, err := http.NewRequest(http.MethodGet, os.Getenv("ARGOCD_SERVER")+"/api/v1/account/can-i/applications/"+action+"/*/*", nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+os.Getenv("ARGOCD_AUTH_TOKEN"))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var answer struct{ Value, Error string }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return "", err
	}
	return answer.Value + answer.Error, nil
}
