package redistest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// MasterName is what the Sentinels call the master.
const MasterName = "lodge"

const (
	// downAfter is how long a server may be silent until a Sentinel holds it dead.
	downAfter = time.Second
	// failoverLimit bounds a failover on a busy machine; most take two seconds.
	failoverLimit = 60 * time.Second
)

// A Failover is a master and two replicas under the watch of Sentinels.
type Failover struct {
	t         testing.TB
	Sentinels []*Server
	nodes     []*Server
}

// StartSentinel runs a master, two replicas, and n Sentinels of which most must
// agree before a replica is promoted, and returns when all know of one another.
func StartSentinel(t testing.TB, n int) *Failover {
	t.Helper()
	f := &Failover{t: t, nodes: []*Server{Start(t, "--repl-diskless-sync-delay", "0")}}
	for range 2 {
		f.nodes = append(f.nodes, Start(t, "--repl-diskless-sync-delay", "0", "--replicaof", "127.0.0.1 "+f.nodes[0].port))
	}
	for range n {
		dir := t.TempDir()
		s := &Server{t: t, file: filepath.Join(dir, "sentinel.conf"), args: []string{"--loglevel", "notice", "--sentinel"}}
		config := fmt.Sprintf("bind 127.0.0.1\ndir %q\nsentinel monitor %s 127.0.0.1 %s %d\nsentinel down-after-milliseconds %[2]s %[5]d\nsentinel failover-timeout %[2]s 3000\n"+
			"sentinel parallel-syncs %[2]s 2\n",
			dir, MasterName, f.nodes[0].port, n/2+1, downAfter.Milliseconds())
		if err := os.WriteFile(s.file, []byte(config), 0o600); err != nil {
			t.Fatal("redistest: ", err)
		}
		s.start()
		f.Sentinels = append(f.Sentinels, s)
	}
	f.settled()
	return f
}

// settled waits until the master has both replicas in step, and every Sentinel
// knows all of them and all the others. On a busy machine the Sentinels may
// promote once more meanwhile, so each round asks anew who the master is.
func (f *Failover) settled() {
	f.t.Helper()
	limit := time.NewTimer(failoverLimit)
	defer limit.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		missing := f.missing()
		if missing == "" {
			return
		}
		select {
		case <-tick.C:
		case <-limit.C:
			f.t.Fatalf("redistest: not in step after %s: %s", failoverLimit, missing)
		}
	}
}

// missing says what is not as it should be.
func (f *Failover) missing() string {
	f.t.Helper()
	master := f.Master()
	type fact struct {
		of      *Server
		section string
		texts   []string
	}
	facts := []fact{{master, "replication", []string{"role:master\r", "connected_slaves:2\r"}}}
	for _, node := range f.nodes {
		if node != master {
			facts = append(facts, fact{node, "replication", []string{"master_link_status:up\r", "master_port:" + master.port + "\r"}})
		}
	}
	for _, s := range f.Sentinels {
		facts = append(facts, fact{s, "sentinel", []string{"status=ok,address=" + master.Addr() + ",slaves=2,", fmt.Sprintf("sentinels=%d\r", len(f.Sentinels))}})
	}
	for _, fact := range facts {
		if info := fact.of.Ask("INFO", fact.section); !containsAll(info, fact.texts) {
			return fmt.Sprintf("%s has not %q:\n%s", fact.of.Addr(), fact.texts, info)
		}
	}
	return ""
}

// URL returns the address in the form of configuration.
func (f *Failover) URL() string {
	url := "redis://" + f.Sentinels[0].Addr() + "/0?master=" + MasterName
	for _, s := range f.Sentinels[1:] {
		url += "&addr=" + s.Addr()
	}
	return url
}

var masterAddress = regexp.MustCompile(`name=` + MasterName + `,status=\w+,address=([^,]+),`)

// Master returns the server that the Sentinels hold to be the master.
func (f *Failover) Master() *Server {
	f.t.Helper()
	m := masterAddress.FindStringSubmatch(f.Sentinels[0].Ask("INFO", "sentinel"))
	for _, node := range f.nodes {
		if m != nil && node.Addr() == m[1] {
			return node
		}
	}
	f.t.Fatalf("redistest: the Sentinels name no master of ours: %q", m)
	return nil
}

// Replicas returns the servers that are not the master.
func (f *Failover) Replicas() []*Server {
	f.t.Helper()
	master := f.Master()
	return slices.DeleteFunc(slices.Clone(f.nodes), func(s *Server) bool { return s == master })
}

// Replicated waits until both replicas have all that the master has.
func (f *Failover) Replicated() {
	f.t.Helper()
	for line := range strings.Lines(f.Master().Ask("INFO", "replication")) {
		if offset, found := strings.CutPrefix(strings.TrimSpace(line), "master_repl_offset:"); found {
			for _, replica := range f.Replicas() {
				replica.awaitOffset(offset)
			}
			return
		}
	}
	f.t.Fatal("redistest: the master tells no offset")
}

// Deafen cuts the replicas off from the master: what it is told from now on dies
// with it, unless the Sentinels mend that (after some seconds) or Kill comes
// first.
func (f *Failover) Deafen() {
	f.t.Helper()
	for _, replica := range f.Replicas() {
		replica.Ask("REPLICAOF", "127.0.0.1", "1") // nobody listens there
	}
}

// Promoted waits until the Sentinels have made another server the master, and
// that server knows, and returns it.
func (f *Failover) Promoted(before *Server) *Server {
	f.t.Helper()
	limit := time.NewTimer(failoverLimit)
	defer limit.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for f.Master() == before {
		select {
		case <-tick.C:
		case <-limit.C:
			f.t.Fatalf("redistest: no failover within %s", failoverLimit)
		}
	}
	master := f.Master()
	master.await(failoverLimit, "INFO replication", "role:master\r")
	return master
}

// Rejoin starts a killed server again as a replica, and returns when all is as
// it was at the beginning, but for who is the master.
func (f *Failover) Rejoin(dead *Server) {
	f.t.Helper()
	dead.Restart("--replicaof", "127.0.0.1 "+f.Master().port)
	f.settled()
}
