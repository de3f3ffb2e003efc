//go:build !linux

package postgrestest

import "syscall"

// dieWithParent does nothing where the kernel has no such service.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
