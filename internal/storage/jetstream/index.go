package jetstream

import "hash/maphash"

// An idIndex finds the sequence number of an entry by its ID. It keeps hashes, not
// IDs: of a million of them the garbage collector then sees nothing, which is most
// of what a map of strings costs. The IDs are the items', with which a hash that is
// found is compared.
type idIndex struct {
	seqs map[uint64]uint64 // by hash; of several IDs with one hash the first
	more map[string]uint64 // the others
}

// idSeed is of this process, so that nobody can choose IDs with one hash.
var idSeed = maphash.MakeSeed()

// newIDIndex returns one with room for so many IDs.
func newIDIndex(room int) idIndex {
	return idIndex{seqs: make(map[uint64]uint64, room)}
}

// add notes that an ID, which is not there yet, is at a sequence number.
func (x *idIndex) add(id string, seq uint64) {
	h := maphash.String(idSeed, id)
	if _, taken := x.seqs[h]; !taken {
		x.seqs[h] = seq
		return
	}
	if x.more == nil {
		x.more = map[string]uint64{}
	}
	x.more[id] = seq
}

// find returns where an ID is, if is agrees that it is the one at the sequence
// number found.
func (x *idIndex) find(id string, is func(seq uint64) bool) (uint64, bool) {
	if x.seqs == nil {
		return 0, false
	}
	if seq, ok := x.more[id]; ok {
		return seq, true
	}
	seq, ok := x.seqs[maphash.String(idSeed, id)]
	return seq, ok && is(seq)
}

// remove forgets that an ID is at a sequence number.
func (x *idIndex) remove(id string, seq uint64) {
	if x.seqs == nil {
		return
	}
	if x.more[id] == seq {
		delete(x.more, id)
		return
	}
	if h := maphash.String(idSeed, id); x.seqs[h] == seq {
		delete(x.seqs, h)
	}
}
