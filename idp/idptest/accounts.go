package idptest

// An Account is somebody who can sign in here. Name is also the subject.
type Account struct {
	Name       string // login name and "sub"
	FullName   string
	GivenName  string
	FamilyName string
	Email      string
	Groups     []string
	About      string // one line for the page: what this account is for
}

// DemoAccounts returns the accounts of `lodge demo`.
func DemoAccounts() []Account {
	return []Account{
		{
			Name: "ada", FullName: "Ada Lovelace", GivenName: "Ada", FamilyName: "Lovelace",
			Email: "ada@example.org", Groups: []string{"everyone", "physics-1"}, About: "Student",
		},
		{
			Name: "soren", FullName: "Søren Ó Briain", GivenName: "Søren", FamilyName: "Ó Briain",
			Email: "soren@example.org", Groups: []string{"everyone", "physics-1"}, About: "Student",
		},
		{
			Name: "grace", FullName: "Grace Hopper", GivenName: "Grace", FamilyName: "Hopper",
			Email: "grace@example.org", Groups: []string{"everyone", "staff"}, About: "Instructor",
		},
		{
			Name: "linus", FullName: "Linus Pauling", GivenName: "Linus", FamilyName: "Pauling",
			Email: "linus@example.org", Groups: []string{"everyone", "staff"}, About: "Experiment technician",
		},
		{
			Name: "root", FullName: "Root Admin", GivenName: "Root", FamilyName: "Admin",
			Email: "root@example.org", Groups: []string{"everyone", "staff"}, About: "Administrator",
		},
	}
}

// claims returns what the issuer says about the account.
func (a Account) claims() map[string]any {
	c := map[string]any{
		"sub":                a.Name,
		"preferred_username": a.Name,
		"groups":             a.Groups,
	}
	for name, value := range map[string]string{
		"name": a.FullName, "given_name": a.GivenName, "family_name": a.FamilyName, "email": a.Email,
	} {
		if value != "" {
			c[name] = value
		}
	}
	if a.Email != "" {
		c["email_verified"] = true
	}
	return c
}
