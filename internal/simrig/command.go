package simrig

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/coder/websocket"
)

// A command is what a user sends to the rig:
//
//	{"cmd":"drive","value":0.4}  turn the motor, -1…1; releases the brake
//	{"cmd":"brake"}              hold the pendulum; the motor stops
//	{"cmd":"kick"}               a push in the direction it is moving
type command struct {
	Cmd   string   `json:"cmd"`
	Value *float64 `json:"value"`
}

func parseCommand(body []byte) (command, error) {
	var c command
	dec := json.NewDecoder(bytes.NewReader(body))
	if err := dec.Decode(&c); err != nil {
		return command{}, err
	}
	switch c.Cmd {
	case "drive":
		if c.Value == nil || *c.Value < -1 || *c.Value > 1 {
			return command{}, errors.New("drive needs a value from -1 to 1")
		}
	case "brake", "kick":
	default:
		return command{}, fmt.Errorf("unknown command %q", c.Cmd)
	}
	return c, nil
}

// obey carries out a command. What is none is ignored and counted: a rig does
// not stop for it.
func (r *Rig) obey(kind websocket.MessageType, body []byte) {
	c, err := parseCommand(body)
	if kind != websocket.MessageText || err != nil {
		r.ignored.Add(1)
		r.cfg.Logger.Debug("rig: command ignored", "stub", r.cfg.Stub, "err", err)
		return
	}
	now := time.Now()
	switch c.Cmd {
	case "drive":
		r.pendulum.drive(now, *c.Value)
	case "brake":
		r.pendulum.brake(now)
	case "kick":
		r.pendulum.kick(now)
	}
}
