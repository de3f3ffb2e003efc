//go:build !linux

package s3test

import "syscall"

// dieWithParent does nothing where the kernel has no such service.
func dieWithParent() *syscall.SysProcAttr { return nil }
