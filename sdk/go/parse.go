package action

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// parse makes a value of JSON, by the same fields and tags that its schema is made of. Issues are everything that
// does not fit, and not the first thing.
func parse[T any](text []byte) (T, Issues) {
	var value T
	var issues Issues
	given, err := decode(text)
	if err != nil {
		issues.Add("", "json", "it is not JSON: %v", err)
		return value, issues
	}
	into(reflect.ValueOf(&value).Elem(), given, "", &issues)
	return value, issues
}

// decode reads one value, with numbers as they stand.
func decode(text []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something stands behind it")
	}
	return value, nil
}

// into puts what JSON gave into a value of Go's.
func into(to reflect.Value, given any, pointer string, issues *Issues) {
	kind := to.Type()
	unfit := func(expected string) { issues.Add(pointer, "type", "must be %s", expected) }
	if kind == rawType {
		text, err := json.Marshal(given)
		if err != nil {
			unfit("JSON")
		}
		to.SetBytes(text)
		return
	}
	if target, is := to.Addr().Interface().(encoding.TextUnmarshaler); is {
		text, isText := given.(string)
		if !isText {
			unfit("a text")
		} else if err := target.UnmarshalText([]byte(text)); err != nil {
			issues.Add(pointer, "invalid", "%v", err)
		}
		return
	}
	switch kind.Kind() {
	case reflect.Pointer:
		to.Set(reflect.New(kind.Elem()))
		into(to.Elem(), given, pointer, issues)
	case reflect.Interface:
		if given != nil {
			to.Set(reflect.ValueOf(given))
		}
	case reflect.String:
		if text, is := given.(string); is {
			to.SetString(text)
		} else {
			unfit("a text")
		}
	case reflect.Bool:
		if truth, is := given.(bool); is {
			to.SetBool(truth)
		} else {
			unfit("true or false")
		}
	case reflect.Slice:
		list, is := given.([]any)
		if !is {
			unfit("a list")
			return
		}
		to.Set(reflect.MakeSlice(kind, len(list), len(list)))
		for index, item := range list {
			into(to.Index(index), item, pointer+"/"+strconv.Itoa(index), issues)
		}
	case reflect.Map:
		members, is := given.(map[string]any)
		if !is {
			unfit("an object")
			return
		}
		to.Set(reflect.MakeMapWithSize(kind, len(members)))
		for _, name := range sorted(members) {
			member := reflect.New(kind.Elem()).Elem()
			into(member, members[name], below(pointer, name), issues)
			to.SetMapIndex(reflect.ValueOf(name).Convert(kind.Key()), member)
		}
	case reflect.Struct:
		members, is := given.(map[string]any)
		if !is {
			unfit("an object")
			return
		}
		intoStruct(to, members, pointer, issues)
	default:
		number, is := given.(json.Number)
		if !is {
			unfit("a number")
			return
		}
		intoNumber(to, number, unfit)
	}
}

func intoNumber(to reflect.Value, given json.Number, unfit func(string)) {
	number, err := given.Float64()
	if err != nil {
		unfit("a number of this size")
		return
	}
	if to.CanFloat() {
		to.SetFloat(number)
		return
	}
	// 1.0 and 1e3 are integers in JSON. Where they are written as such, all of their digits count.
	whole, err := strconv.ParseInt(given.String(), 10, 64)
	if err != nil {
		if number != math.Trunc(number) || math.Abs(number) > 1<<53 {
			unfit("an integer")
			return
		}
		whole = int64(number)
	}
	switch {
	case to.CanInt() && !to.OverflowInt(whole):
		to.SetInt(whole)
	case to.CanUint() && whole >= 0 && !to.OverflowUint(uint64(whole)):
		to.SetUint(uint64(whole))
	default:
		unfit("an integer that " + to.Type().String() + " can hold")
	}
}

func intoStruct(to reflect.Value, members map[string]any, pointer string, issues *Issues) {
	fields := fieldsOf(to.Type())
	for _, field := range fields {
		given, has := members[field.name]
		place := below(pointer, field.name)
		switch {
		case has && given == nil && field.kind.Kind() == reflect.Pointer:
			// JSON's null is a pointer that is nil.
		case has || field.fallback != nil:
			if !has {
				given = field.fallback
			}
			before := len(*issues)
			into(to.FieldByIndex(field.index), given, place, issues)
			if len(*issues) == before {
				field.check(given, place, issues)
			}
		case field.required:
			issues.Add(place, "required", "is missing")
		}
	}
	for _, name := range sorted(members) {
		known := func(field field) bool { return field.name == name }
		if !slices.ContainsFunc(fields, known) {
			issues.Add(below(pointer, name), "unknown_property", "there is no such property")
		}
	}
}

// check holds a value against its field's tags.
func (f field) check(given any, pointer string, issues *Issues) {
	size, what := 0.0, ""
	switch value := given.(type) {
	case json.Number:
		size, _ = value.Float64()
	case string:
		size, what = float64(utf8.RuneCountInString(value)), " characters"
		if f.enum != nil && !slices.Contains(f.enum, value) {
			issues.Add(pointer, "enum", "must be one of %s", strings.Join(f.enum, ", "))
		}
	case []any:
		size, what = float64(len(value)), " items"
	default:
		return
	}
	if f.min != nil && size < *f.min {
		issues.Add(pointer, "minimum", "must be at least %v%s", *f.min, what)
	}
	if f.max != nil && size > *f.max {
		issues.Add(pointer, "maximum", "must be at most %v%s", *f.max, what)
	}
}

func sorted(members map[string]any) []string {
	names := make([]string, 0, len(members))
	for name := range members {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// below is the place of a member (RFC 6901).
func below(pointer, name string) string {
	return fmt.Sprintf("%s/%s", pointer, strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
}
