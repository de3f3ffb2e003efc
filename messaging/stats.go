package messaging

import "sync/atomic"

// Stats are counters since the start of a Topics.
type Stats struct {
	Appended   uint64 // messages added
	Duplicates uint64 // messages that were there already
	Batches    uint64 // appends to the back end that added something
	Conflicts  uint64 // appends that another writer overtook
	Uncertain  uint64 // appends with an unknown outcome
	Rejected   uint64 // entries and snapshots that did not open or were not in their place, each time they were read
	Gaps       uint64 // runs of rejected entries delivered as a gap
	RingReads  uint64 // Tail.After answered from the ring
	LogReads   uint64 // Tail.After answered from the log
	Hints      uint64 // hints for an open topic
	Repairs    uint64 // times the repair poll found a topic behind
	Snapshots  uint64 // snapshots stored
}

// counters are what Stats is read from.
type counters struct {
	appended, duplicates, batches, conflicts, uncertain atomic.Uint64
	rejected, gaps                                      atomic.Uint64
	ringReads, logReads, hints, repairs                 atomic.Uint64
	snapshots                                           atomic.Uint64
}

func (n *counters) stats() Stats {
	return Stats{
		Appended: n.appended.Load(), Duplicates: n.duplicates.Load(), Batches: n.batches.Load(),
		Conflicts: n.conflicts.Load(), Uncertain: n.uncertain.Load(),
		Rejected: n.rejected.Load(), Gaps: n.gaps.Load(),
		RingReads: n.ringReads.Load(), LogReads: n.logReads.Load(), Hints: n.hints.Load(), Repairs: n.repairs.Load(),
		Snapshots: n.snapshots.Load(),
	}
}
