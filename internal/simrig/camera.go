package simrig

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"strconv"
	"time"
)

const (
	width, height = 320, 240
	pivotX        = width / 2
	pivotY        = 104
	rod           = 76  // px
	bob           = 13  // px, radius
	quality       = 70  // of the JPEG
	gaugeWidth    = 120 // px to each side at full drive
	gaugeY        = 222
)

var (
	colWall  = color.RGBA{0xf2, 0xf0, 0xe9, 0xff}
	colMark  = color.RGBA{0xcf, 0xca, 0xbd, 0xff}
	colInk   = color.RGBA{0x2b, 0x2f, 0x36, 0xff}
	colBob   = color.RGBA{0xb3, 0x26, 0x2d, 0xff}
	colHeld  = color.RGBA{0x6d, 0x72, 0x7a, 0xff}
	colDrive = color.RGBA{0x1f, 0x6f, 0x8b, 0xff}
)

// A camera takes pictures of the pendulum. It belongs to one goroutine and
// draws over its last picture.
type camera struct {
	wall *image.RGBA // what never changes
	img  *image.RGBA
	buf  bytes.Buffer
}

// take returns a JPEG of the state. The result is the caller's.
func (c *camera) take(s state, now time.Time) ([]byte, error) {
	if c.wall == nil {
		c.wall = drawWall()
		c.img = image.NewRGBA(c.wall.Rect)
	}
	copy(c.img.Pix, c.wall.Pix)

	x, y := bobAt(s)
	capsule(c.img, pivotX, pivotY, x, y, 2, colInk)
	weight := colBob
	if s.brake {
		weight = colHeld
	}
	capsule(c.img, x, y, x, y, bob, weight)
	capsule(c.img, pivotX, pivotY, pivotX, pivotY, 4, colInk)

	// The motor's gauge: a bar from the middle to the side it turns to.
	capsule(c.img, pivotX, gaugeY, pivotX+gaugeWidth*s.drive, gaugeY, 4, colDrive)

	// The time stamp: the clock to a tenth, and a bar that fills each second.
	tenths := now.UnixMilli() / 100 % 10
	digits(c.img, 8, 8, now.UTC().Format("15:04:05.")+strconv.FormatInt(tenths, 10), colInk)
	second := float64(now.Nanosecond()) / 1e9
	box(c.img, 0, 0, int(second*width), 3, colDrive)

	c.buf.Reset()
	if err := jpeg.Encode(&c.buf, c.img, &jpeg.Options{Quality: quality}); err != nil {
		return nil, err
	}
	return bytes.Clone(c.buf.Bytes()), nil
}

// bobAt returns where the bob is in the picture: counter-clockwise is to the
// right from hanging down.
func bobAt(s state) (x, y float64) {
	return pivotX + rod*math.Sin(s.theta), pivotY + rod*math.Cos(s.theta)
}

// drawWall draws the background: a protractor every 30 degrees, and the
// gauge's rest.
func drawWall() *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	box(img, 0, 0, width, height, colWall)
	for deg := 0; deg < 360; deg += 30 {
		sin, cos := math.Sincos(float64(deg) * math.Pi / 180)
		const inner, outer = rod + bob + 2, rod + bob + 7
		capsule(img, pivotX+inner*sin, pivotY+inner*cos, pivotX+outer*sin, pivotY+outer*cos, 1, colMark)
	}
	capsule(img, pivotX-gaugeWidth, gaugeY, pivotX+gaugeWidth, gaugeY, 1, colMark)
	capsule(img, pivotX, gaugeY-8, pivotX, gaugeY+8, 1, colMark)
	return img
}

// box fills a rectangle, from its upper left corner to its lower right one.
func box(img *image.RGBA, x0, y0, x1, y1 int, c color.RGBA) {
	for y := max(y0, 0); y < min(y1, height); y++ {
		for x := max(x0, 0); x < min(x1, width); x++ {
			img.SetRGBA(x, y, c)
		}
	}
}

// capsule draws all that is within r of the line from a to b, with soft edges;
// a line of no length is a disc.
func capsule(img *image.RGBA, ax, ay, bx, by, r float64, c color.RGBA) {
	x0, x1 := int(math.Min(ax, bx)-r-1), int(math.Max(ax, bx)+r+2)
	y0, y1 := int(math.Min(ay, by)-r-1), int(math.Max(ay, by)+r+2)
	dx, dy := bx-ax, by-ay
	square := dx*dx + dy*dy
	for y := max(y0, 0); y < min(y1, height); y++ {
		for x := max(x0, 0); x < min(x1, width); x++ {
			px, py := float64(x)-ax, float64(y)-ay
			along := 0.0
			if square > 0 {
				along = min(max((px*dx+py*dy)/square, 0), 1)
			}
			cover := r + 0.5 - math.Hypot(px-along*dx, py-along*dy)
			if cover > 0 {
				blend(img, x, y, c, min(cover, 1))
			}
		}
	}
}

func blend(img *image.RGBA, x, y int, c color.RGBA, cover float64) {
	old := img.RGBAAt(x, y)
	mix := func(a, b uint8) uint8 { return uint8(float64(a) + (float64(b)-float64(a))*cover + 0.5) }
	img.SetRGBA(x, y, color.RGBA{mix(old.R, c.R), mix(old.G, c.G), mix(old.B, c.B), 0xff})
}

// glyphs are the digits, 3 by 5, a row an octal number.
var glyphs = map[rune][5]uint8{
	'0': {7, 5, 5, 5, 7}, '1': {2, 6, 2, 2, 7}, '2': {7, 1, 7, 4, 7}, '3': {7, 1, 3, 1, 7}, '4': {5, 5, 7, 1, 1},
	'5': {7, 4, 7, 1, 7}, '6': {7, 4, 7, 5, 7}, '7': {7, 1, 2, 2, 2}, '8': {7, 5, 7, 5, 7}, '9': {7, 5, 7, 1, 7},
	':': {0, 2, 0, 2, 0}, '.': {0, 0, 0, 0, 2},
}

// digits writes text from x, y on, each dot of a glyph two pixels wide.
func digits(img *image.RGBA, x, y int, text string, c color.RGBA) {
	const dot = 2
	for _, char := range text {
		for row, bits := range glyphs[char] {
			for col := range 3 {
				if bits&(4>>col) != 0 {
					box(img, x+col*dot, y+row*dot, x+(col+1)*dot, y+(row+1)*dot, c)
				}
			}
		}
		x += 4 * dot
	}
}
