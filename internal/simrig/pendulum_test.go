package simrig

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func run(s state, seconds float64) state {
	for range int(seconds / step) {
		s = s.after()
	}
	return s
}

// Small swings have the period that physics gives them.
func TestPeriod(t *testing.T) {
	s := state{theta: 0.05}
	var crossings []float64
	for i := range int(20 / step) {
		next := s.after()
		if s.theta > 0 && next.theta <= 0 {
			crossings = append(crossings, float64(i)*step)
		}
		s = next
	}
	n := len(crossings) - 1
	got, want := (crossings[n]-crossings[0])/float64(n), 2*math.Pi*math.Sqrt(length/gravity)
	if math.Abs(got-want) > 0.01 {
		t.Errorf("period %.3f s, want %.3f s", got, want)
	}
}

// Without the motor, energy is only ever lost; at rest, nothing moves.
func TestEnergyLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := state{
			theta: rapid.Float64Range(-math.Pi, math.Pi).Draw(t, "theta"),
			omega: rapid.Float64Range(-10, 10).Draw(t, "omega"),
			brake: rapid.Bool().Draw(t, "brake"),
		}
		for range 200 {
			next := s.after()
			if next.energy() > s.energy()+1e-6 {
				t.Fatalf("energy grows from %v to %v", s.energy(), next.energy())
			}
			s = next
		}
		if d := s.degrees(); d < -180 || d > 180 {
			t.Fatalf("%v degrees", d)
		}
	})
	if s := run(state{}, 10); s != (state{}) {
		t.Errorf("at rest and yet %+v", s)
	}
}

func TestDriveBrakeKick(t *testing.T) {
	now := time.Unix(1e9, 0)
	p := newPendulum(now)
	after := func(d time.Duration) state {
		var s state
		for until := now.Add(d); now.Before(until); {
			now = now.Add(50 * time.Millisecond)
			s = p.at(now)
		}
		return s
	}
	p.drive(now, 0.5)
	if s := after(40 * time.Second); math.Abs(math.Sin(s.theta)-torque/2*length/gravity) > 0.02 || s.drive != 0.5 {
		t.Errorf("driven, it settles at %.1f°", s.degrees())
	}
	p.brake(now)
	if s := after(20 * time.Second); math.Abs(s.degrees()) > 0.5 || s.drive != 0 || !s.brake {
		t.Errorf("held, it is at %.1f°: %+v", s.degrees(), s)
	}
	p.kick(now)
	if s := after(300 * time.Millisecond); math.Abs(s.degrees()) < 10 || s.brake {
		t.Errorf("kicked, it is at %.1f°", s.degrees())
	}
	p.drive(now, -1)
	after(5 * time.Second)
	if s := after(time.Second); s.omega >= 0 {
		t.Errorf("full drive does not turn it: %+v", s)
	}
}

// A rig that nobody has looked at for a day does not work the day through.
func TestLongAbsence(t *testing.T) {
	now := time.Unix(1e9, 0)
	p := newPendulum(now)
	p.kick(now)
	begun := time.Now()
	p.at(now.Add(24 * time.Hour))
	if took := time.Since(begun); took > time.Second {
		t.Errorf("took %v", took)
	}
}
