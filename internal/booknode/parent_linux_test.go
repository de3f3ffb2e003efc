package booknode

import "syscall"

// dieWithParent has the kernel end a process with the test, however that ends: a
// test that times out runs no clean-up.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
