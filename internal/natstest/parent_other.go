//go:build !linux

package natstest

import "syscall"

// dieWithParent does nothing where the kernel has no such service.
func dieWithParent() *syscall.SysProcAttr { return nil }
