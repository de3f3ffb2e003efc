package redistest

import (
	"fmt"
	"testing"
)

// slots is how many parts a Redis Cluster divides its keys into.
const slots = 16384

// StartCluster runs a Cluster of n masters, without replicas, that share the
// slots evenly, and returns when all of them say that it works.
func StartCluster(t testing.TB, n int) []*Server {
	t.Helper()
	nodes := make([]*Server, n)
	for i := range nodes {
		bus := freePort(t)
		nodes[i] = Start(t, "--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", "2000")
		nodes[i].Ask("CLUSTER", "ADDSLOTSRANGE", fmt.Sprint(i*slots/n), fmt.Sprint((i+1)*slots/n-1))
		nodes[i].Ask("CLUSTER", "SET-CONFIG-EPOCH", fmt.Sprint(i+1))
		nodes[0].Ask("CLUSTER", "MEET", "127.0.0.1", nodes[i].port, bus)
	}
	for _, node := range nodes {
		node.await(startLimit, "CLUSTER INFO", "cluster_state:ok\r", fmt.Sprintf("cluster_known_nodes:%d\r", n))
	}
	return nodes
}
