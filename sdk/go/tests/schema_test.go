// Package tests has the SDK's own tests. They stand apart so that a project's copy of the SDK has none.
package tests

import (
	"encoding/json"
	"reflect"
	"testing"

	"julee/action"
	"julee/action/actiontest"
)

type inner struct {
	Names []string          `json:"names" min:"1" max:"2"`
	More  map[string]uint16 `json:"more,omitempty"`
}

type base struct {
	URL string `json:"url" doc:"Where to look." egress:"http"`
}

type config struct {
	base
	Token   action.Secret   `json:"token,omitempty" doc:"Who asks."`
	Method  string          `json:"method" enum:"GET,POST" default:"GET"`
	Retries int             `json:"retries" min:"0" max:"10" default:"3"`
	Ratio   *float64        `json:"ratio"`
	Inner   inner           `json:"in/ner"`
	Any     any             `json:"any,omitempty"`
	Raw     json.RawMessage `json:"raw,omitempty"`
	Mark    string          `json:"mark,omitzero" pattern:"^x" max:"3"`
	Hidden  func()          `json:"-"`
	unseen  int
}

// probe does with a config what a test wants to see.
type probe struct {
	do func(*action.Call[config]) (action.Outcome, error)
}

func (probe) About() action.About { return action.About{Name: "probe", Version: "0.1.0"} }

func (probe) Validate(given config) (action.Accepted, error) {
	var wrong action.Issues
	if given.Retries == 7 {
		wrong.Add("/retries", "odd", "not %d", given.Retries)
		wrong.Add("", "whole", "and all of it")
	}
	return action.Accepted{Effect: action.Keyed, Warnings: action.Issues{{Pointer: "/url", Code: "old", Message: "is old"}}}, wrong.Err()
}

const fits = `{"url": "https://example.com/", "in/ner": {"names": ["a"]}}`

func equal(t *testing.T, got, wanted any) {
	t.Helper()
	if !reflect.DeepEqual(got, wanted) {
		t.Errorf("got    %#v\nwanted %#v", got, wanted)
	}
}

func asJSON(t *testing.T, text string) any {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return value
}

func TestASchemaIsMadeOfATypesTags(t *testing.T) {
	wanted := `{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"type": "object", "additionalProperties": false, "required": ["url", "in/ner"],
		"properties": {
			"url": {"type": "string", "description": "Where to look.", "x-egress": "http"},
			"token": {"type": "string", "description": "Who asks.", "writeOnly": true},
			"method": {"type": "string", "enum": ["GET", "POST"], "default": "GET"},
			"retries": {"type": "integer", "minimum": 0, "maximum": 10, "default": 3},
			"ratio": {"type": "number"},
			"in/ner": {
				"type": "object", "additionalProperties": false, "required": ["names"],
				"properties": {
					"names": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2},
					"more": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}}
				}
			},
			"any": {}, "raw": {}, "mark": {"type": "string", "pattern": "^x", "maxLength": 3}
		}
	}`
	equal(t, asJSON(t, string(actiontest.ConfigSchema(probe{}))), asJSON(t, wanted))
	for range 20 {
		equal(t, actiontest.ConfigSchema(probe{}), actiontest.ConfigSchema(probe{}))
	}
}

func TestAConfigIsFilledInByTheSameTags(t *testing.T) {
	given := `{"url": "u", "token": "sec_1", "retries": 1e1, "ratio": 0.5, "any": [1], "raw": {"x": 1},
		"in/ner": {"names": ["a", "b"], "more": {"m": 65535}}}`
	ratio := 0.5
	wanted := config{
		base: base{"u"}, Token: "sec_1", Method: "GET", Retries: 10, Ratio: &ratio, Any: []any{json.Number("1")},
		Raw: json.RawMessage(`{"x":1}`), Inner: inner{[]string{"a", "b"}, map[string]uint16{"m": 65535}},
	}
	var got config
	do := func(call *action.Call[config]) (action.Outcome, error) {
		got = call.Config
		return action.Text("")
	}
	if _, err := actiontest.Execute(probe{do}, given, action.Payload{}); err != nil {
		t.Fatal(err)
	}
	equal(t, got, wanted)
}

func TestEverythingThatDoesNotFitIsSaidAtOnceAndWhere(t *testing.T) {
	given := `{"token": 1, "method": "PUT", "retries": 11, "ratio": "x", "mark": "Grüße", "strange/~": 1,
		"in/ner": {"names": [], "more": {"a/b": 65536, "c": -1, "d": 1.5}}}`
	_, issues := actiontest.Validate(probe{}, given)
	wanted := action.Issues{
		{"/url", "required", "is missing"},
		{"/token", "type", "must be a text"},
		{"/method", "enum", "must be one of GET, POST"},
		{"/retries", "maximum", "must be at most 10"},
		{"/ratio", "type", "must be a number"},
		{"/in~1ner/names", "minimum", "must be at least 1 items"},
		{"/in~1ner/more/a~1b", "type", "must be an integer that uint16 can hold"},
		{"/in~1ner/more/c", "type", "must be an integer that uint16 can hold"},
		{"/in~1ner/more/d", "type", "must be an integer"},
		{"/mark", "maximum", "must be at most 3 characters"},
		{"/strange~1~0", "unknown_property", "there is no such property"},
	}
	equal(t, issues, wanted)
	for config, code := range map[string]string{`{`: "json", `[]`: "type", `{} {}`: "json", `null`: "type", ``: "json"} {
		_, issues := actiontest.Validate(probe{}, config)
		if len(issues) != 1 || issues[0].Code != code || issues[0].Pointer != "" {
			t.Errorf("%q: %v", config, issues)
		}
	}
}

func TestWhatAProtocolFindsWrongItself(t *testing.T) {
	accepted, issues := actiontest.Validate(probe{}, fits)
	equal(t, issues, action.Issues(nil))
	equal(t, accepted, action.Accepted{Effect: action.Keyed, Warnings: action.Issues{{"/url", "old", "is old"}}})
	_, issues = actiontest.Validate(probe{}, `{"url": "u", "in/ner": {"names": ["a"]}, "retries": 7}`)
	equal(t, issues, action.Issues{{"/retries", "odd", "not 7"}, {"", "whole", "and all of it"}})
}

func TestWhatHasNoFormInJSONIsAMistakeOfTheProgram(t *testing.T) {
	for name, make := range map[string]func() action.Schema{
		"a channel": action.SchemaOf[struct{ C chan int }],
		"a bad bound": action.SchemaOf[struct {
			N int `min:"few"`
		}],
		"a bad default": action.SchemaOf[struct {
			N int `default:"one"`
		}],
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: has a schema", name)
				}
			}()
			make()
		}()
	}
}
