package main

import "time"

// adminFresh reads how long an administrator's proof of who they are lasts; 0s: any
// login will do.
func adminFresh(c *config, from source) error {
	err := lease(func(c *config) *time.Duration { return &c.AdminFresh }, 0, 24*time.Hour)(c, from)
	if err == nil && c.AdminFresh == 0 {
		c.AdminFresh = -1
	}
	return err
}
