// Command argocd is the Argo CD half of the test bed in one binary: the name it is called by (or
// ARGOCD_BINARY_NAME, as in the released binary) decides which program it is. As "redis-server"
// it serves miniredis, which Argo CD itself uses in its core mode.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
	controller "github.com/argoproj/argo-cd/v3/cmd/argocd-application-controller/commands"
	applicationset "github.com/argoproj/argo-cd/v3/cmd/argocd-applicationset-controller/commands"
	askpass "github.com/argoproj/argo-cd/v3/cmd/argocd-git-ask-pass/commands"
	reposerver "github.com/argoproj/argo-cd/v3/cmd/argocd-repo-server/commands"
	apiserver "github.com/argoproj/argo-cd/v3/cmd/argocd-server/commands"
	argocd "github.com/argoproj/argo-cd/v3/cmd/argocd/commands"
	"github.com/argoproj/argo-cd/v3/util/log"
	"github.com/spf13/cobra"
	"k8s.io/klog/v2"
)

func init() {
	klog.SetLogger(log.NewLogrusLogger(log.NewWithCurrentConfig()))
}

func main() {
	name := filepath.Base(os.Args[0])
	if chosen := os.Getenv("ARGOCD_BINARY_NAME"); chosen != "" {
		name = chosen
	}
	var command *cobra.Command
	switch name {
	case "redis-server":
		command = newRedisCommand()
	case "argocd-server":
		command = apiserver.NewCommand()
	case "argocd-repo-server":
		command = reposerver.NewCommand()
	case "argocd-application-controller":
		command = controller.NewCommand()
	case "argocd-applicationset-controller":
		command = applicationset.NewCommand()
	case "argocd-git-ask-pass":
		command = askpass.NewCommand()
	default:
		command = argocd.NewCommand()
	}
	if err := command.Execute(); err != nil {
		os.Exit(1)
	}
}

// newRedisCommand serves an in-memory Redis until it is told to stop.
func newRedisCommand() *cobra.Command {
	var address string
	command := &cobra.Command{
		Use:  "redis-server",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			server := miniredis.NewMiniRedis()
			if err := server.StartAddr(address); err != nil {
				return err
			}
			defer server.Close()
			fmt.Fprintln(os.Stderr, "listening on", server.Addr())
			go passTime(server)
			stop := make(chan os.Signal, 1)
			signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
			<-stop
			return nil
		},
	}
	command.Flags().StringVar(&address, "address", "127.0.0.1:0", "listen address")
	return command
}

// passTime lets keys expire: miniredis has no clock of its own, so that without this the
// repo-server would keep the tip of a branch for good.
func passTime(server *miniredis.Miniredis) {
	for range time.Tick(time.Second) {
		server.FastForward(time.Second)
	}
}
