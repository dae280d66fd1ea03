package main

import (
	"fmt"
	"slices"
)

const (
	serviceAccount = "system:serviceaccount:devpod:"
	observer       = serviceAccount + "devpod-observer"
	logless        = serviceAccount + "logless"
	// anonymous is judged as well: a request whose credentials got lost is still one of ours.
	anonymous = "system:anonymous"
)

// request is one line of the audit log.
type request struct {
	user, verb, group, resource, subresource, namespace, name string
	code                                                      string
	uri                                                       string
	forbidden                                                 bool
}

func readRequest(line map[string]any) request {
	code := field(line, "responseStatus", "code")
	return request{
		user: field(line, "user", "username"), verb: field(line, "verb"),
		group: field(line, "objectRef", "apiGroup"), resource: field(line, "objectRef", "resource"),
		subresource: field(line, "objectRef", "subresource"),
		namespace:   field(line, "objectRef", "namespace"), name: field(line, "objectRef", "name"),
		code: code, uri: field(line, "requestURI"),
		// Admission may answer 403 as well; only the authorizer forbids.
		forbidden: code == "403" && field(line, "annotations", "authorization.k8s.io/decision") != "allow",
	}
}

func (r request) String() string { return fmt.Sprintf("%s %s %s -> %s", r.user, r.verb, r.uri, r.code) }

// isWrite: everything but reads and questions about the asker's own rights. A dry run is a write.
func (r request) isWrite() bool {
	if slices.Contains([]string{"get", "list", "watch"}, r.verb) {
		return false
	}
	reviews := []string{"selfsubjectaccessreviews", "selfsubjectrulesreviews"}
	return r.verb != "create" || r.group != "authorization.k8s.io" || !slices.Contains(reviews, r.resource)
}

// isTunnel: a way into a container or past the API, whatever the verb.
func (r request) isTunnel() bool {
	return slices.Contains([]string{"exec", "attach", "portforward", "proxy"}, r.subresource)
}

// isForward: a port-forward, which a plan may name.
func (r request) isForward() bool {
	return r.resource == "pods" && r.subresource == "portforward"
}

// written is the request in the words of a plan: `patch deployments.apps/scale mcp/zai-proxy`.
func (r request) written() string {
	what := r.resource
	if r.group != "" {
		what += "." + r.group
	}
	if r.subresource != "" {
		what += "/" + r.subresource
	}
	where := r.name
	if r.namespace != "" {
		where = r.namespace + "/" + r.name
	}
	return fmt.Sprintf("%s %s %s", r.verb, what, where)
}

// judgeAudit: the apiserver's own record of what each identity asked for.
func judgeAudit(v *verdict, lines []map[string]any, said plans) {
	var requests []request
	for _, line := range lines {
		requests = append(requests, readRequest(line))
	}
	judgeObserver(v, requests)
	for _, identity := range kubernetesWriters {
		judgeWriter(v, identity, said[identity], requests)
	}
}

// judgeObserver: the read-only identities read, and nothing else.
func judgeObserver(v *verdict, requests []request) {
	counts := map[string]int{}
	var written, denied, tunnelled []string
	for _, r := range requests {
		if !slices.Contains([]string{observer, logless, anonymous}, r.user) {
			continue
		}
		if r.user == observer {
			counts[r.verb]++
		}
		if r.isWrite() {
			written = append(written, r.String())
			if r.code == "403" {
				denied = append(denied, r.String())
			}
		}
		if r.isTunnel() {
			tunnelled = append(tunnelled, r.String())
		}
	}
	var none []string
	if len(counts) == 0 {
		none = []string{"not one request in the audit log: it cannot witness anything"}
	}
	v.check(fmt.Sprintf("the observer was at the apiserver: %v", counts), none)
	v.check("the read-only identities only read; their only creates are access reviews", written)
	v.check("no write was tried and denied", denied)
	v.check("no exec, attach, portforward or proxy", tunnelled)
}

// judgeWriter: an identity that may write wrote only what its plans said.
func judgeWriter(v *verdict, identity string, said writes, requests []request) {
	counts := map[string]int{}
	var unplanned, denied, tunnelled, none []string
	for _, r := range requests {
		if r.user != serviceAccount+identity {
			continue
		}
		counts[r.verb]++
		if r.isForward() {
			// Begun by a GET where it is a WebSocket; a plan names it by the right that it takes.
			if forward := "create pods/portforward " + r.namespace + "/" + r.name; !said.include(forward) {
				unplanned = append(unplanned, fmt.Sprintf("%s is in no plan: %s", forward, r))
			}
			if r.forbidden {
				denied = append(denied, r.String())
			}
			continue
		}
		if r.isWrite() && !said[r.written()] {
			unplanned = append(unplanned, fmt.Sprintf("%s is in no plan: %s", r.written(), r))
		}
		if r.isWrite() && r.forbidden {
			denied = append(denied, r.String())
		}
		if r.isTunnel() {
			tunnelled = append(tunnelled, r.String())
		}
	}
	if said.kubernetes() > 0 && len(counts) == 0 {
		none = []string{"it has plans, but not one request in the audit log: it cannot witness anything"}
	}
	v.check(fmt.Sprintf("%s at the apiserver: %v, %d planned writes", identity, counts, said.kubernetes()), none)
	v.check(identity+" wrote only what its plans said", unplanned)
	v.check(identity+" tried no write that was denied", denied)
	v.check(identity+" had no exec, attach or proxy", tunnelled)
}
