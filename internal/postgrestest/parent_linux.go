package postgrestest

import "syscall"

// dieWithParent has the kernel stop the server when the test process ends,
// however that happens: a test that times out runs no clean-up. SIGQUIT has it
// end its own processes too.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT}
}
