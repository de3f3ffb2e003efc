package simrig

import (
	"math"
	"sync"
	"time"
)

const (
	gravity = 9.81  // m/s²
	length  = 0.5   // m
	air     = 0.15  // damping, 1/s
	braking = 6.0   // damping with the brake on, 1/s
	torque  = 15.0  // what full drive adds to the angular acceleration, rad/s²
	push    = 2.5   // what a kick adds to the angular velocity, rad/s
	step    = 0.005 // of the integration, s

	// longest is how much of the past is made up for: a rig that nobody has
	// looked at for longer has come to rest as good as.
	longest = 2 * time.Second
)

// A state is the pendulum at one moment.
type state struct {
	theta float64 // rad, counter-clockwise from hanging down
	omega float64 // rad/s
	drive float64 // -1…1
	brake bool
}

func (s state) degrees() float64 {
	return math.Remainder(s.theta, 2*math.Pi) * 180 / math.Pi
}

// acceleration is θ″ = -(g/l) sin θ - b θ′ + drive.
func (s state) acceleration(theta, omega float64) float64 {
	damping := air
	if s.brake {
		damping = braking
	}
	return -gravity/length*math.Sin(theta) - damping*omega + torque*s.drive
}

// after returns the state one step later (Runge-Kutta, fourth order).
func (s state) after() state {
	const h = step
	k1v, k1a := s.omega, s.acceleration(s.theta, s.omega)
	k2v, k2a := s.omega+h/2*k1a, s.acceleration(s.theta+h/2*k1v, s.omega+h/2*k1a)
	k3v, k3a := s.omega+h/2*k2a, s.acceleration(s.theta+h/2*k2v, s.omega+h/2*k2a)
	k4v, k4a := s.omega+h*k3a, s.acceleration(s.theta+h*k3v, s.omega+h*k3a)
	s.theta += h / 6 * (k1v + 2*k2v + 2*k3v + k4v)
	s.omega += h / 6 * (k1a + 2*k2a + 2*k3a + k4a)
	return s
}

// energy is per unit of mass and length squared, from hanging at rest.
func (s state) energy() float64 {
	return s.omega*s.omega/2 + gravity/length*(1-math.Cos(s.theta))
}

// A pendulum moves with time; it is looked at, and pushed, from both streams.
type pendulum struct {
	mu    sync.Mutex
	state state     // guarded by mu
	when  time.Time // guarded by mu; the moment of state
}

func newPendulum(now time.Time) *pendulum {
	return &pendulum{when: now}
}

// at returns the state at a time that is not before the last one asked for.
func (p *pendulum) at(now time.Time) state {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance(now)
	return p.state
}

func (p *pendulum) advance(now time.Time) {
	const h = time.Duration(step * float64(time.Second))
	if now.Sub(p.when) > longest {
		p.when = now.Add(-longest)
	}
	for !p.when.Add(h).After(now) {
		p.state = p.state.after()
		p.when = p.when.Add(h)
	}
}

// drive sets the motor and releases the brake.
func (p *pendulum) drive(now time.Time, value float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance(now)
	p.state.drive, p.state.brake = value, false
}

// brake stops the motor and holds the pendulum.
func (p *pendulum) brake(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance(now)
	p.state.drive, p.state.brake = 0, true
}

// kick pushes the pendulum in the direction it is moving, and releases the
// brake.
func (p *pendulum) kick(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance(now)
	p.state.brake = false
	p.state.omega += math.Copysign(push, p.state.omega)
}
