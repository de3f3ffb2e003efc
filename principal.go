package lodge

import "strings"

// A Role says what a person may do within a scope.
type Role string

// The roles, from the most to the least powerful. None implies another except
// that an administrator of a tenant passes every check in it.
const (
	RoleAdministrator Role = "administrator"
	RoleOrganiser     Role = "organiser"
	RoleTechnician    Role = "technician"
	RoleInstructor    Role = "instructor"
	RoleViewer        Role = "viewer"
)

// A Scope is the part of a tenant a role is bound to: the whole "tenant", or
// one thing of a kind, written "group:physics-1", "experiment:pend00",
// "policy:lab", "pool:pendulums".
type Scope string

// ScopeTenant is the scope that covers the whole tenant.
const ScopeTenant Scope = "tenant"

// ScopeOf returns the scope of one thing of a kind, such as ("group", "g1").
func ScopeOf(kind, id string) Scope { return Scope(kind + ":" + id) }

// Kind returns the part of the scope before the colon.
func (s Scope) Kind() string {
	kind, _, _ := strings.Cut(string(s), ":")
	return kind
}

// ID returns the part of the scope after the colon; it is empty for the tenant.
func (s Scope) ID() string {
	_, id, _ := strings.Cut(string(s), ":")
	return id
}

// A Binding gives a role within a scope.
type Binding struct {
	Role  Role  `json:"role"`
	Scope Scope `json:"scope"`
}

// A Principal is a person acting now, through one session.
type Principal struct {
	Tenant   Tenant
	Person   PersonID
	Session  string // the session's public id, never its code
	Kind     string // the session's kind: login, booking, experiment, host, service
	Name     string // display name
	Groups   []string
	Bindings []Binding

	// Booking limits a principal that came through a booking or an experiment
	// session to that booking; it is empty for a login.
	Booking string
	// Experiment is set for host and experiment sessions.
	Experiment string
}

// Can reports whether the principal holds role in scope: by a binding to that
// very scope, by one to the whole tenant, or by being the tenant's
// administrator.
func (p Principal) Can(role Role, scope Scope) bool {
	for _, b := range p.Bindings {
		if b.Scope == ScopeTenant && b.Role == RoleAdministrator {
			return true
		}
		if b.Role == role && (b.Scope == ScopeTenant || b.Scope == scope) {
			return true
		}
	}
	return false
}

// Has reports whether the principal holds role in any scope.
func (p Principal) Has(role Role) bool {
	for _, b := range p.Bindings {
		if b.Role == role || (b.Role == RoleAdministrator && b.Scope == ScopeTenant) {
			return true
		}
	}
	return false
}
