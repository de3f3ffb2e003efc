package web

import (
	"math"
	"slices"
	"strconv"
)

// Chosen reports whether option i is part of the answer.
func (a Answer) Chosen(i int) bool { return slices.Contains(a.Options, i) }

// Typed writes a number's answer as a form field has it.
func (a Answer) Typed() string {
	if a.Value == nil {
		return ""
	}
	return decimal(*a.Value)
}

func decimal(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// Point is one number of a scale with its label.
type Point struct {
	Number int
	Label  string
}

// Points returns 1…Max of a scale.
func (q Question) Points() []Point {
	points := make([]Point, max(q.Max, 2))
	for i := range points {
		points[i].Number = i + 1
		switch {
		case len(q.Labels) == len(points):
			points[i].Label = q.Labels[i]
		case len(q.Labels) == 2 && i == 0:
			points[i].Label = q.Labels[0]
		case len(q.Labels) == 2 && i == len(points)-1:
			points[i].Label = q.Labels[1]
		}
	}
	return points
}

// Likert reports whether each number of a scale has a label.
func (q Question) Likert() bool { return len(q.Labels) > 0 && len(q.Labels) == q.Max }

// Bounds writes the bounds of a number as its field's attributes have them.
func (q Question) Bounds() (b struct{ Min, Max string }) {
	if q.Lowest != nil {
		b.Min = decimal(*q.Lowest)
	}
	if q.Highest != nil {
		b.Max = decimal(*q.Highest)
	}
	return b
}

// Worded reports whether the question is answered in words.
func (q Question) Worded() bool { return q.Kind == "short" || q.Kind == "text" }

// Bar is one row of a result.
type Bar struct {
	Label   string
	Count   int
	Width   string // of the bar, in percent of the people who answered
	Percent int
}

// maxBins is into how many bars numbers are gathered.
const maxBins = 8

// Bars returns what was chosen, in the order of the options, or how numbers are
// spread.
func (r Result) Bars() []Bar {
	var labels []string
	counts := r.Counts
	switch r.Kind {
	case "scale":
		for _, p := range r.Points() {
			label := strconv.Itoa(p.Number)
			if p.Label != "" {
				label += " · " + p.Label
			}
			labels = append(labels, label)
		}
	case "number":
		labels, counts = bins(r.Values)
	default:
		labels = r.Options
	}
	bars := make([]Bar, len(labels))
	for i, label := range labels {
		bars[i] = Bar{Label: label, Width: "0%"}
		if i < len(counts) && r.Answered > 0 {
			bars[i].Count = counts[i]
			bars[i].Percent = min(100, int(math.Round(100*float64(counts[i])/float64(r.Answered))))
			bars[i].Width = strconv.Itoa(bars[i].Percent) + "%"
		}
	}
	return bars
}

// bins gathers ascending numbers: each by itself while there are few, else in
// stretches of one length.
func bins(values []float64) (labels []string, counts []int) {
	var apart []float64
	for _, v := range values {
		if len(apart) == 0 || apart[len(apart)-1] != v {
			apart, counts = append(apart, v), append(counts, 0)
		}
		counts[len(counts)-1]++
	}
	if len(apart) <= maxBins {
		for _, v := range apart {
			labels = append(labels, short(v))
		}
		return labels, counts
	}
	low, step := values[0], (values[len(values)-1]-values[0])/maxBins
	counts = make([]int, maxBins)
	for _, v := range values {
		counts[min(int((v-low)/step), maxBins-1)]++
	}
	for i := range maxBins {
		labels = append(labels, short(low+float64(i)*step)+" – "+short(low+float64(i+1)*step))
	}
	return labels, counts
}

// short writes a number with four significant digits.
func short(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

// Average writes the mean.
func (r Result) Average() string { return short(r.Mean) }

// Middle writes the median.
func (r Result) Middle() string { return short(r.Median) }

// Numbers reports whether mean and median say something.
func (r Result) Numbers() bool { return r.Answered > 0 && (r.Kind == "scale" || r.Kind == "number") }

// Pending counts the words that nobody let through yet.
func (r Result) Pending() int {
	n := 0
	for _, w := range r.Texts {
		if !w.Shown {
			n++
		}
	}
	return n
}

// Waiting is how many answered whose answers are not counted yet.
func (t Tally) Waiting() int { return t.Answered - t.Counted }

// Last reports whether a question is the last one.
func (f SurveyForm) Last(i int) bool { return i == len(f.Questions)-1 }
