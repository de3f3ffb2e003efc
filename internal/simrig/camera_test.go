package simrig

import (
	"bytes"
	"image"
	"image/jpeg"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 1, 12, 34, 56, 700e6, time.UTC)

func picture(t *testing.T, s state) image.Image {
	t.Helper()
	var c camera
	data, err := c.take(s, noon)
	if err != nil {
		t.Fatal(err)
	}
	img, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// reddish tells whether the bob is at a place of the picture.
func reddish(img image.Image, x, y int) bool {
	r, g, b, _ := img.At(x, y).RGBA()
	return r > 0x8000 && g < 0x6000 && b < 0x6000
}

func TestPictureShowsTheState(t *testing.T) {
	for name, tc := range map[string]struct {
		state  state
		x, y   int // where the bob is
		nx, ny int // where it is not
	}{
		"at rest":       {state{}, pivotX, pivotY + rod, pivotX + rod, pivotY},
		"to the right":  {state{theta: 1.5707963}, pivotX + rod, pivotY, pivotX, pivotY + rod},
		"to the left":   {state{theta: -1.5707963}, pivotX - rod, pivotY, pivotX, pivotY + rod},
		"over the top":  {state{theta: 3.1415926}, pivotX, pivotY - rod, pivotX, pivotY + rod},
		"driven fully":  {state{drive: 1}, pivotX, pivotY + rod, pivotX + 60, gaugeY},
		"far over once": {state{theta: 2 * 3.1415926}, pivotX, pivotY + rod, pivotX + rod, pivotY},
	} {
		t.Run(name, func(t *testing.T) {
			img := picture(t, tc.state)
			if got := img.Bounds(); got.Dx() != width || got.Dy() != height {
				t.Fatalf("picture is %v", got)
			}
			if !reddish(img, tc.x, tc.y) {
				t.Errorf("no bob at %d,%d", tc.x, tc.y)
			}
			if reddish(img, tc.nx, tc.ny) {
				t.Errorf("a bob at %d,%d", tc.nx, tc.ny)
			}
		})
	}
}

func TestPictureShowsDriveAndBrake(t *testing.T) {
	blue := func(img image.Image, x int) bool {
		r, _, b, _ := img.At(x, gaugeY).RGBA()
		return b > r+0x3000
	}
	right, left := picture(t, state{drive: 1}), picture(t, state{drive: -1})
	if !blue(right, pivotX+60) || blue(right, pivotX-60) {
		t.Error("drive 1 does not show on the right")
	}
	if !blue(left, pivotX-60) || blue(left, pivotX+60) {
		t.Error("drive -1 does not show on the left")
	}
	if reddish(picture(t, state{brake: true}), pivotX, pivotY+rod) {
		t.Error("the brake does not show")
	}
}

// A picture is the caller's: the next one must not overwrite it.
func TestPicturesAreTheirOwn(t *testing.T) {
	var c camera
	first, err := c.take(state{}, noon)
	if err != nil {
		t.Fatal(err)
	}
	kept := bytes.Clone(first)
	if _, err := c.take(state{theta: 1}, noon); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, kept) {
		t.Error("a later picture changed an earlier one")
	}
}

func BenchmarkPicture(b *testing.B) {
	var c camera
	for i := range b.N {
		data, err := c.take(state{theta: float64(i) / 10, drive: 0.5}, noon)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(data)))
	}
}
