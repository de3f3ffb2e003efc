package s3test

import "syscall"

// dieWithParent has the kernel end the server with the test process, however
// that ends: a test that times out runs no clean-up.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
