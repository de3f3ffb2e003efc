// Package hubnode holds the tests of several nodes on one message log, each a
// process of its own that is killed at random moments, like the server behind
// the log.
//
//	node_test.go     what a node is: a Hub on a log, and an address to publish at
//	clients_test.go  what thousands of sockets are, in processes of their own too
//	fleet_test.go    starting, killing and restarting nodes, and who balances between them
//	ledger_test.go   what was acknowledged, against what the log has and the sockets got
//	backends_test.go the servers behind the log
//	rel_test.go      the promises
//
// Nodes and clients are this test binary, started again with a variable set.
package hubnode
