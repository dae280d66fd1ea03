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

// ownCalls are the test bed's: it asks for a session and for tokens whenever it comes up.
var ownCalls = []string{"/session.SessionService/Create", "/account.AccountService/CreateToken"}

// argocdVerbs are a plan's words for the methods that write to an Application; any other method
// is its own word, which no plan says.
var argocdVerbs = map[string]string{
	"Sync": "sync", "Rollback": "rollback", "TerminateOperation": "terminate",
	"Patch": "patch", "Update": "patch", "UpdateSpec": "patch",
}

// lookups are what argocd-server logs when an Application that is asked for is not there
// (server/application/application.go, getAppEnforceRBAC): nothing was done.
var lookups = []string{"application does not exist"}

// call is a write that was asked of argocd-server.
type call struct {
	account, verb, project, name string
}

func (c call) String() string {
	text := strings.TrimSpace(fmt.Sprintf("%s argocd %s ", c.account, c.verb))
	if c.project != "" {
		return fmt.Sprintf("%s %s/%s", text, c.project, c.name)
	}
	return text + " " + c.name
}

// in tells whether a plan said so. Where the log leaves the project out, the name decides.
func (c call) in(said writes) bool {
	if c.project != "" {
		return said[fmt.Sprintf("argocd %s %s/%s", c.verb, c.project, c.name)]
	}
	for write := range said {
		words := strings.Fields(write)
		if len(words) == 3 && words[0] == "argocd" && words[1] == c.verb && strings.HasSuffix(words[2], "/"+c.name) {
			return true
		}
	}
	return false
}

// received reads the line by which argocd-server takes a call in: what is asked, not by whom.
func received(line map[string]any) (call, bool) {
	path := strings.TrimPrefix(strings.TrimPrefix(field(line, "msg"), "received unary call "), "received streaming call ")
	method := path[strings.LastIndex(path, "/")+1:]
	if !strings.HasPrefix(path, "/") || isArgoCDRead(method) || slices.Contains(ownCalls, path) {
		return call{}, false
	}
	verb := argocdVerbs[method]
	if verb == "" || !strings.HasPrefix(path, "/application.ApplicationService/") {
		verb = path
	}
	return call{verb: verb, project: field(line, "grpc.request.content", "project"), name: field(line, "grpc.request.content", "name")}, true
}

// carriedOut reads the line about a write that has been done to an Application, with its author.
func carriedOut(line map[string]any) (call, bool) {
	user, name := field(line, "user"), field(line, "application")
	if user == "" || name == "" || slices.Contains(lookups, field(line, "msg")) {
		return call{}, false
	}
	done := strings.TrimPrefix(field(line, "msg"), user+" ")
	verb := done
	for words, word := range map[string]string{
		"initiated rollback": "rollback", "initiated sync": "sync", "initiated partial sync": "sync",
		"terminated running operation": "terminate", "updated application": "patch",
	} {
		if strings.HasPrefix(done, words) {
			verb = word
		}
	}
	return call{account: user, verb: verb, name: name}, true
}

func isArgoCDRead(method string) bool {
	return slices.ContainsFunc(argocdReads, func(prefix string) bool { return strings.HasPrefix(method, prefix) })
}

// judgeArgoCD: argocd-server logs what was asked, then what it did and for whom, then the outcome.
// The administrator's token is used for nothing while unship is judged: so whatever was asked must
// be in somebody's plan, whatever was done in its author's, and nothing was denied.
func judgeArgoCD(v *verdict, lines []map[string]any, said plans) {
	reads := 0
	done := map[string]int{}
	var unplanned, foreign, denied []string
	for _, line := range lines {
		if c, ok := received(line); ok && !slices.ContainsFunc(argocdWriters, func(account string) bool { return c.in(said[account]) }) {
			unplanned = append(unplanned, c.String()+" is in no plan")
		}
		if c, ok := carriedOut(line); ok {
			done[c.account]++
			if !c.in(said[c.account]) {
				foreign = append(foreign, c.String()+" is in no plan of its author")
			}
		}
		method, code := field(line, "grpc.method"), field(line, "grpc.code")
		switch refused := code == "PermissionDenied" || code == "Unauthenticated"; {
		case method == "" || code == "":
		case isArgoCDRead(method):
			reads++
		case refused:
			denied = append(denied, fmt.Sprintf("%s.%s -> %s: %s", field(line, "grpc.service"), method, code, field(line, "grpc.error")))
		}
	}
	v.check(fmt.Sprintf("no denied write at argocd-server (%d reads)", reads), denied)
	v.check("argocd-server was asked only for what a plan said", unplanned)
	v.check(fmt.Sprintf("what argocd-server did was in its author's plan: %v", done), foreign)
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
