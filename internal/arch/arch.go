// Package arch holds the rules of the repository's layout, and the test that
// every file keeps to them: who may import whom, where storage drivers live, how
// long a file may be. A rule that stands only on a page is broken within a month;
// these fail the build, with the line that breaks them.
//
//	imports.go  the import table
//	source.go   reads the repository
//
// The table closes over Lodge's own packages. Third-party libraries are free,
// except the drivers of storage.
package arch
