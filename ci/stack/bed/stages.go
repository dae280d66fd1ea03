package main

import (
	_ "embed"
	"strings"
)

//go:embed manifests/node-stages.yaml
var nodeStages string

//go:embed manifests/pod-stage.yaml
var podStage string

// fault is what becomes of a pod with such a word in an image tag.
type fault struct {
	name, tags, operator, phase, condition, container, event string
}

const (
	imageID  = `imageID: {{ printf "docker.io/%s@sha256:%s" (regexReplaceAll ":[^:/]*$" $image "" | trimPrefix "docker.io/") (sha256sum $image) | Quote }}`
	ready    = `status: "True"`
	notReady = `status: "False", reason: ContainersNotReady, message: "containers with unready status"`
)

// Selectors exclude each other: of several stages that match kwok draws one at random.
var faults = []fault{
	{
		name: "ready", tags: "crash|nopull|never|oom", operator: "DoesNotExist",
		phase: "Running", condition: ready,
		container: `ready: true
started: true
restartCount: 0
` + imageID + `
state:
  running: {startedAt: {{ $now | Quote }}}`,
	},
	{
		name: "crash", tags: "crash", operator: "Exists",
		phase: "Running", condition: notReady,
		container: crashLoop("Error", "1"),
		event:     event("BackOff", "Back-off restarting failed container"),
	},
	{
		name: "oom", tags: "oom", operator: "Exists",
		phase: "Running", condition: notReady,
		container: crashLoop("OOMKilled", "137"),
		event:     event("BackOff", "Back-off restarting failed container"),
	},
	{
		name: "nopull", tags: "nopull", operator: "Exists",
		phase: "Pending", condition: notReady,
		container: `ready: false
started: false
restartCount: 0
imageID: ""
state:
  waiting: {reason: ImagePullBackOff, message: {{ printf "Back-off pulling image %q" $image | Quote }}}`,
		event: event("Failed", "Error: ImagePullBackOff"),
	},
	{
		name: "never", tags: "never", operator: "Exists",
		phase: "Running", condition: notReady,
		container: `ready: false
started: true
restartCount: 0
` + imageID + `
state:
  running: {startedAt: {{ $now | Quote }}}`,
	},
}

func crashLoop(reason, exitCode string) string {
	return `ready: false
started: false
restartCount: 3
` + imageID + `
state:
  waiting: {reason: CrashLoopBackOff, message: back-off 40s restarting failed container}
lastState:
  terminated: {exitCode: ` + exitCode + `, reason: ` + reason + `, startedAt: {{ $now | Quote }}, finishedAt: {{ $now | Quote }}}`
}

func event(reason, message string) string {
	return "\n    event: {type: Warning, reason: " + reason + ", message: \"" + message + "\"}"
}

// kwokConfiguration renders all stages.
func kwokConfiguration() string {
	all := nodeStages
	for _, f := range faults {
		all += strings.NewReplacer(
			"@NAME@", f.name, "@TAGS@", f.tags, "@OPERATOR@", f.operator, "@PHASE@", f.phase,
			"@CONDITION@", f.condition, "@EVENT@", f.event,
			"@CONTAINER@", strings.ReplaceAll(f.container, "\n", "\n        "),
		).Replace(podStage)
	}
	return all
}
