package web

import (
	"reflect"
	"time"
)

var (
	timeType    = reflect.TypeFor[time.Time]()
	printerType = reflect.TypeFor[*Printer]()
	zoneType    = reflect.TypeFor[*time.Location]()
)

// inZone returns a view with every time in it in a zone, so that a template says
// the reader's hour wherever it says a time. What slices and pointers of the view
// lead to is changed in place: a view is made for one page. Maps are left alone.
func inZone(view any, zone *time.Location) any {
	if zone == nil {
		zone = time.UTC
	}
	v := reflect.ValueOf(view)
	if v.Kind() != reflect.Struct {
		return view
	}
	changed := reflect.New(v.Type()).Elem()
	changed.Set(v)
	moveTimes(changed, zone)
	return changed.Interface()
}

func moveTimes(v reflect.Value, zone *time.Location) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == timeType {
			if v.CanSet() {
				v.Set(reflect.ValueOf(v.Interface().(time.Time).In(zone)))
			}
			return
		}
		for _, field := range v.Fields() {
			moveTimes(field, zone)
		}
	case reflect.Pointer:
		if !v.IsNil() && v.Type() != printerType && v.Type() != zoneType {
			moveTimes(v.Elem(), zone)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			moveTimes(v.Index(i), zone)
		}
	}
}
