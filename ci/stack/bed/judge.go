package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

// worldLogs are the logs that are judged, by the variables that name them.
var worldLogs = []string{"UNSHIP_WORLD_AUDIT_LOG", "UNSHIP_WORLD_ARGOCD_LOG", "UNSHIP_WORLD_GIT_LOG"}

// verdict collects checks; every line that a check objects to is shown with it.
type verdict struct {
	passed, failed int
}

func (v *verdict) check(what string, objections []string) {
	mark := "ok  "
	if len(objections) == 0 {
		v.passed++
	} else {
		v.failed++
		mark = "FAIL"
	}
	fmt.Printf("%s %s\n", mark, what)
	for i, objection := range objections {
		if i == 10 {
			fmt.Printf("       and %d more\n", len(objections)-i)
			break
		}
		fmt.Printf("       %s\n", objection)
	}
}

func runJudge(args []string) error {
	flags := flag.NewFlagSet("judge", flag.ExitOnError)
	mark := flags.Bool("mark", false, "write the mark FILE: later judgements begin here")
	if err := parse(flags, args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("judge: name one mark file: `judge --mark FILE` before, `judge FILE` after")
	}
	for _, name := range worldLogs {
		if os.Getenv(name) == "" {
			return fmt.Errorf("judge: %s is not set; source the environment file that ci/stack/up prints", name)
		}
	}
	if *mark {
		return writeMark(flags.Arg(0))
	}
	text, err := os.ReadFile(flags.Arg(0))
	if err != nil {
		return err
	}
	var offsets map[string]int64
	if err := json.Unmarshal(text, &offsets); err != nil {
		return fmt.Errorf("%s: %w", flags.Arg(0), err)
	}
	said, err := readPlans()
	if err != nil {
		return err
	}
	v := &verdict{}
	judges := []func(*verdict, []map[string]any){
		func(v *verdict, lines []map[string]any) { judgeAudit(v, lines, said) },
		func(v *verdict, lines []map[string]any) { judgeArgoCD(v, lines, said) },
		judgeGit,
	}
	for i, judge := range judges {
		lines, damaged, err := linesSince(os.Getenv(worldLogs[i]), offsets[worldLogs[i]])
		if err != nil {
			return err
		}
		judge(v, lines)
		v.check("every line of "+os.Getenv(worldLogs[i])+" can be read", damaged)
	}
	judgeRights(v)
	fmt.Printf("%d passed, %d failed\n", v.passed, v.failed)
	if v.failed > 0 {
		os.Exit(1)
	}
	return nil
}

func writeMark(path string) error {
	offsets := map[string]int64{}
	for _, name := range worldLogs {
		info, err := os.Stat(os.Getenv(name))
		switch {
		case err == nil:
			offsets[name] = info.Size()
		case !os.IsNotExist(err):
			return err
		}
	}
	text, err := json.Marshal(offsets)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

// linesSince reads the JSON lines behind offset. Argo CD writes some lines that are no JSON; only
// lines that begin as an object and do not end as one count as damaged.
func linesSince(path string, offset int64) (lines []map[string]any, damaged []string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || info.Size() < offset {
		return nil, nil, fmt.Errorf("%s is shorter than at the mark: it was rotated or made anew; mark again", path)
	}
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return nil, nil, err
	}
	reader := bufio.NewReader(file)
	for {
		text, err := reader.ReadString('\n')
		if err == io.EOF {
			return lines, damaged, nil // what follows the last line end is still being written
		}
		if err != nil {
			return nil, nil, err
		}
		if !strings.HasPrefix(text, "{") {
			continue
		}
		var line map[string]any
		if json.Unmarshal([]byte(text), &line) != nil {
			damaged = append(damaged, text[:min(len(text), 120)])
			continue
		}
		lines = append(lines, line)
	}
}

// field walks to a nested value; a missing one is "".
func field(line map[string]any, path ...string) string {
	var value any = line
	for _, name := range path {
		object, isObject := value.(map[string]any)
		if !isObject {
			return ""
		}
		value = object[name]
	}
	switch value := value.(type) {
	case nil:
		return ""
	case string:
		return value
	default:
		return fmt.Sprint(value)
	}
}

// judgeGit: who pushed. That no push was forced cannot be seen here.
func judgeGit(v *verdict, lines []map[string]any) {
	user := os.Getenv("UNSHIP_WORLD_GIT_USER")
	fetches, pushes := 0, 0
	var foreign []string
	for _, line := range lines {
		path := field(line, "path")
		switch {
		case strings.HasSuffix(path, "/git-upload-pack"):
			fetches++
		case strings.HasSuffix(path, "/git-receive-pack"):
			pushes++
			if field(line, "status") == "200" && field(line, "user") != user {
				foreign = append(foreign, fmt.Sprintf("%s by %q", path, field(line, "user")))
			}
		}
	}
	v.check(fmt.Sprintf("pushes only by %s (%d push requests, %d fetch requests)", user, pushes, fetches), foreign)
}
