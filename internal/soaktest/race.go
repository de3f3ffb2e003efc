//go:build race

package soaktest

const raceDetector = true
