package action

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Schema is a JSON Schema (2020-12) as JSON.
type Schema string

// SchemaOf makes the schema of a type from its fields and their tags:
//
//	type Config struct {
//		URL     string        `json:"url" doc:"Where to look." egress:"http"`
//		Token   action.Secret `json:"token,omitempty" doc:"Who asks."`
//		Method  string        `json:"method" enum:"GET,POST" default:"GET"`
//		Retries int           `json:"retries" min:"0" max:"10" default:"3"`
//	}
//
// A property is required unless it has a default, omitempty or omitzero, or is a pointer. doc is its description; egress
// ("http" at a URL, "tcp" at host:port) makes what stands in it a grant; min and max bound a number, the characters of
// a text, the items of a list; enum lists what a text may be; pattern is a regular expression, which the service checks
// and not the SDK. Fields without a json name have their Go name; those with the name "-" are left out; an embedded struct's stand
// among the others.
//
// It panics at what JSON has no form for: that is a mistake in the program, and its test sees it.
func SchemaOf[T any]() Schema {
	words := map[string]any{"$schema": "https://json-schema.org/draft/2020-12/schema"}
	for word, value := range schemaOf(reflect.TypeFor[T]()) {
		words[word] = value
	}
	// Members of a map come out sorted, so that the schema is the same each time.
	text, err := json.Marshal(words)
	if err != nil {
		panic(err)
	}
	return Schema(text)
}

var (
	secretType = reflect.TypeFor[Secret]()
	rawType    = reflect.TypeFor[json.RawMessage]()
	textType   = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func schemaOf(kind reflect.Type) map[string]any {
	switch {
	case kind == secretType:
		return map[string]any{"type": "string", "writeOnly": true}
	case kind == rawType:
		return map[string]any{}
	case reflect.PointerTo(kind).Implements(textType):
		return map[string]any{"type": "string"}
	}
	switch kind.Kind() {
	case reflect.Pointer:
		return schemaOf(kind.Elem())
	case reflect.Interface:
		if kind.NumMethod() == 0 {
			return map[string]any{}
		}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return map[string]any{"type": "integer"}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return map[string]any{"type": "integer", "minimum": 0}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(kind.Elem())}
	case reflect.Map:
		if kind.Key().Kind() == reflect.String {
			return map[string]any{"type": "object", "additionalProperties": schemaOf(kind.Elem())}
		}
	case reflect.Struct:
		properties, required := map[string]any{}, []string{}
		for _, field := range fieldsOf(kind) {
			properties[field.name] = field.schema()
			if field.required {
				required = append(required, field.name)
			}
		}
		return map[string]any{
			"type": "object", "properties": properties, "required": required, "additionalProperties": false,
		}
	}
	panic(fmt.Sprintf("action: %s has no form in JSON", kind))
}

// field is a property: a field of a struct, with what its tags say.
type field struct {
	name     string
	index    []int
	kind     reflect.Type
	required bool
	tag      reflect.StructTag
	// JSON, or nil.
	fallback any
	enum     []string
	min, max *float64
}

func fieldsOf(kind reflect.Type) []field {
	var fields []field
	for _, found := range reflect.VisibleFields(kind) {
		name, options, _ := strings.Cut(found.Tag.Get("json"), ",")
		embedded := found.Anonymous && name == "" && found.Type.Kind() == reflect.Struct
		if embedded || !found.IsExported() || name == "-" && options == "" {
			continue
		}
		if name == "" {
			name = found.Name
		}
		one := field{name: name, index: found.Index, kind: found.Type, tag: found.Tag}
		optional := found.Type.Kind() == reflect.Pointer
		for option := range strings.SplitSeq(options, ",") {
			optional = optional || option == "omitempty" || option == "omitzero"
		}
		if text, has := found.Tag.Lookup("default"); has {
			one.fallback, optional = defaultOf(kind, found, text), true
		}
		if text := found.Tag.Get("enum"); text != "" {
			one.enum = strings.Split(text, ",")
		}
		one.required = !optional
		one.min, one.max = bound(kind, found, "min"), bound(kind, found, "max")
		fields = append(fields, one)
	}
	return fields
}

// defaultOf reads the tag of a default: a text as it stands, anything else as JSON.
func defaultOf(kind reflect.Type, found reflect.StructField, text string) any {
	if schemaOf(found.Type)["type"] == "string" {
		return text
	}
	value, err := decode([]byte(text))
	if err != nil {
		panic(fmt.Sprintf("action: the default of %s.%s is not JSON: %v", kind, found.Name, err))
	}
	return value
}

func bound(kind reflect.Type, found reflect.StructField, tag string) *float64 {
	text, has := found.Tag.Lookup(tag)
	if !has {
		return nil
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic(fmt.Sprintf("action: %s of %s.%s is no number", tag, kind, found.Name))
	}
	return &number
}

func (f field) schema() map[string]any {
	words := schemaOf(f.kind)
	least, most := "minimum", "maximum"
	switch words["type"] {
	case "string":
		least, most = "minLength", "maxLength"
	case "array":
		least, most = "minItems", "maxItems"
	}
	if f.min != nil {
		words[least] = *f.min
	}
	if f.max != nil {
		words[most] = *f.max
	}
	if f.enum != nil {
		words["enum"] = f.enum
	}
	if f.fallback != nil {
		words["default"] = f.fallback
	}
	for tag, word := range map[string]string{"doc": "description", "egress": "x-egress", "pattern": "pattern"} {
		if text := f.tag.Get(tag); text != "" {
			words[word] = text
		}
	}
	return words
}
