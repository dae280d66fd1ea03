// Command bed starts and stops the test bed, is its Git server and its kubelet, and judges its
// logs. It uses nothing but the standard library.
package main

import (
	"flag"
	"fmt"
	"os"
)

const usage = `usage: bed COMMAND [flags]
  up          start the test bed (or find it running) and print its environment file
  down        stop it
  git-server  Git over HTTP with basic auth and an access log
  kubelet     container logs of the pods that kwok simulates
  get         one HTTP GET with the token in ARGOCD_AUTH_TOKEN
  judge       judge the logs since a mark: no write by the read-only identity`

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	commands := map[string]func([]string) error{
		"up":         runUp,
		"down":       runDown,
		"git-server": runGitServer,
		"kubelet":    runKubelet,
		"get":        runGet,
		"judge":      runJudge,
	}
	command, known := commands[os.Args[1]]
	if !known {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	if err := command(os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
		os.Exit(1)
	}
}

// parse reads the flags of one subcommand; all of them are required unless they have a default.
func parse(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil {
		return err
	}
	var missing error
	flags.VisitAll(func(f *flag.Flag) {
		if f.Value.String() == "" {
			missing = fmt.Errorf("%s: --%s is required (%s)", flags.Name(), f.Name, f.Usage)
		}
	})
	return missing
}
