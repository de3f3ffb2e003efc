package messaging

// A Keyring holds the roots that topic names and sealing keys are derived from,
// 32 bytes each.
type Keyring struct {
	// Names is the root of the tenants' name keys. It is never rotated: with
	// another one, every topic would have another physical name.
	Names []byte
	// Seals are the roots of the topics' sealing keys by key id (1 to 32 bytes).
	// All of them open; to rotate, give the new one to every node first, make it
	// Current afterwards, and keep the old one for as long as its entries.
	Seals map[string][]byte
	// Current is the id of the key that new entries are sealed under.
	Current string
}
