package web

// The pages about the installation.
const (
	PageProviders = "providers" // Providers
	PageSystem    = "system"    // System
)

// Providers is /admin/providers.
type Providers struct {
	Layout
	Providers []Provider
}

// Provider is an issuer as it is now.
type Provider struct {
	ID, Name, URL string
	Up            bool
	SignedIn      int // sessions made through it that are active
}

// System is /admin/system: one node, and who is there on all of them.
type System struct {
	Layout
	Version string
	Ready   bool
	Trouble string // why it is not
	Online  int    // people, on all nodes

	Sockets          int // message connections
	Rooms, Streams   int // of the relay
	In, Out, Dropped uint64
}

// Present is somebody who is there at this moment.
type Present struct {
	Person, Name string
	Messages     bool     // reachable by messages
	In           []string // titles of experiments
}
