package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/lodge-gateway/lodge/gateway"
)

// relaySettings are those of a relay on its own: it has no database, signs nobody
// in and keeps nothing.
var relaySettings = []string{
	"listen", "public_url", "assets_url", "ui_origins", "relay_url", "relay_lease", "data", "redis", "redis_file",
	"trusted_proxies", "jwt_secret_file", "lease_poll", "lease_grace", "metrics_listen", "canary", "log_level",
	"streams_per_person", "streams_per_address",
}

// relayCommand is the command that takes only these.
const relayCommand = "relay"

// takes reports whether a command takes a setting.
func takes(command, key string) bool {
	return command != relayCommand || slices.Contains(relaySettings, key)
}

// notFor takes out of a file what the command has no use for, and says so: whoever
// wrote it there expects something to come of it.
func notFor(command string, from map[string]source) []error {
	var faults []error
	for _, s := range settings {
		at, given := from[s.key]
		if given && !takes(command, s.key) {
			delete(from, s.key)
			faults = append(faults, fault{s.key, at.origin, "it is for lodge serve; a relay on its own has no use for it"})
		}
	}
	return faults
}

// relayURL takes the origin of a node's streams, or that it carries none.
func relayURL(c *config, from source) error {
	if from.value == gateway.RelayElsewhere {
		c.RelayURL = from.value
		return nil
	}
	return origin(func(c *config) *string { return &c.RelayURL })(c, from)
}

// secondWindow takes what becomes of a second window.
func secondWindow(c *config, from source) error {
	c.SecondWindow = gateway.Window(from.value)
	if !slices.Contains([]gateway.Window{gateway.WindowAllow, gateway.WindowReplace, gateway.WindowRefuse}, c.SecondWindow) {
		return fmt.Errorf("%q is none of allow, replace and refuse", from.value)
	}
	return nil
}

// maxPartners takes with how many people a booking may be shared.
func maxPartners(c *config, from source) error {
	if err := number(func(c *config) *int { return &c.MaxPartners }, 100)(c, from); err != nil {
		return err
	}
	if c.MaxPartners == 0 {
		c.MaxPartners = -1
	}
	return nil
}

// canary says whether the relay measures its own delay.
func canary(c *config, from source) error {
	if from.value != "on" && from.value != "off" {
		return fmt.Errorf("%q is neither on nor off", from.value)
	}
	c.NoCanary = from.value == "off"
	return nil
}

// completeRelay names what does not go together.
func (c *config) completeRelay(from map[string]source) []error {
	if c.RelayURL == "" {
		if at, given := from["relay_lease"]; given {
			return []error{fault{"relay_lease", at.origin, "it is for several nodes that carry streams; give relay_url, or leave it out"}}
		}
		return nil
	}
	if c.Redis == "" && from["redis_file"].weight == 0 {
		return []error{fault{"redis", "not set", "give the Redis that the nodes share: there they agree who carries which stream"}}
	}
	return nil
}

// loadRelay reads the configuration of a relay on its own and returns all its
// faults at once.
func loadRelay(given map[string]string, lookup func(string) (string, bool), file string) (config, error) {
	c, from, faults := readFor(relayCommand, given, lookup, file)
	if len(c.Issuers) > 0 {
		faults = append(faults, fault{"issuers", file, "they are for lodge serve; a relay on its own signs nobody in"})
	}
	missing := func(key, remedy string) {
		if _, ok := from[key]; !ok {
			faults = append(faults, fault{key, "not set", remedy})
		}
	}
	missing("public_url", "give the origin of the gateways, such as https://lab.example.org")
	missing("assets_url", "give the origin of experiment UIs, such as https://ui.lab.example.org: their pages may open streams")
	missing("data", "give a directory for the admin socket, such as /run/lodge-relay")
	switch {
	case c.RelayURL == gateway.RelayElsewhere:
		faults = append(faults, fault{"relay_url", from["relay_url"].origin, "that is for a gateway; give the origin at which this relay's streams are reached"})
	case c.RelayURL == "":
		missing("relay_url", "give the origin at which this relay's streams are reached, such as https://relay1.lab.example.org")
		if c.Redis == "" {
			missing("redis", "give the Redis that the gateways share, here or in redis_file")
		}
	}
	return c, errors.Join(faults...)
}
