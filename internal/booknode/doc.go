// Package booknode holds the test that bookings are linearizable: what many
// clients saw of nodes that are processes of their own and are killed at random
// moments, like the server behind them, could have come of one diary that does
// one thing at a time.
//
//	node_test.go     what a node is: a booking Desk on a store, behind HTTP
//	fleet_test.go    starting, killing and restarting nodes
//	clients_test.go  what clients do, and how they learn the outcome for certain
//	model_test.go    the diary as it should be, for porcupine
//	rel_test.go      the promise
//
// Nodes are this test binary, started again with a variable set.
package booknode
