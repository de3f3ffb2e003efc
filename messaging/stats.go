package messaging

// Stats are counters since the start of a Topics.
type Stats struct {
	Appended   uint64 // messages added
	Duplicates uint64 // messages that were there already
	Batches    uint64 // appends to the back end that succeeded
	Conflicts  uint64 // appends that another writer overtook, and were repeated
	Uncertain  uint64 // appends with an unknown outcome, and were repeated
	Rejected   uint64 // entries that did not open or were not in their place
	Gaps       uint64 // runs of rejected entries delivered as a gap
	RingReads  uint64 // Tail.After answered from the ring
	LogReads   uint64 // Tail.After answered from the log
	Hints      uint64 // hints for an open topic
	Repairs    uint64 // topics the repair poll found behind
	Snapshots  uint64 // snapshots stored
}
