package action

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Payload is bytes with their media type.
type Payload struct {
	ContentType string
	Data        []byte
}

// MediaType is the content type without its parameters, in small letters.
func (p Payload) MediaType() string {
	kind, _, _ := strings.Cut(p.ContentType, ";")
	return strings.ToLower(strings.TrimSpace(kind))
}

// IsJSON says whether the media type is JSON, or one of the +json kind.
func (p Payload) IsJSON() bool {
	kind := p.MediaType()
	return kind == "application/json" || strings.HasSuffix(kind, "+json")
}

// Reader reads the bytes.
func (p Payload) Reader() io.Reader {
	return bytes.NewReader(p.Data)
}

// Decode makes a T of the JSON in a payload, by the tags of SchemaOf. Where it does not fit, the error is an
// InvalidInput with every place in its details.
func Decode[T any](payload Payload) (T, error) {
	value, issues := parse[T](payload.Data)
	if err := issues.Err(); err != nil {
		failure := Fail(InvalidInput, "the input does not fit: %s", err.Error())
		return value, failure.WithDetails(map[string]any{"issues": []Issue(issues)})
	}
	return value, nil
}

// JSONPayload is a value as JSON.
func JSONPayload(value any) (Payload, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	// This is no page: < stays what it is.
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return Payload{}, fmt.Errorf("a value that JSON cannot hold: %w", err)
	}
	return Payload{"application/json", bytes.TrimSuffix(text.Bytes(), []byte("\n"))}, nil
}

// TextPayload is a text, in UTF-8.
func TextPayload(text string) Payload {
	return Payload{"text/plain; charset=utf-8", []byte(strings.ToValidUTF8(text, "\uFFFD"))}
}

// Outcome is an output, and the answer to a webhook's caller where there is one to give.
type Outcome struct {
	Output Payload
	Reply  *Reply
}

// Reply is the answer to the caller of a webhook who waits for it.
type Reply struct {
	Status  int
	Headers []Header
	Body    []byte
}

// Header of HTTP.
type Header struct {
	Name, Value string
}

// JSON is an outcome with a value as its output: return action.JSON(value).
func JSON(value any) (Outcome, error) {
	payload, err := JSONPayload(value)
	return Outcome{Output: payload}, err
}

// Text is an outcome with a text as its output.
func Text(text string) (Outcome, error) {
	return Outcome{Output: TextPayload(text)}, nil
}

// Bytes is an outcome with bytes of this media type as its output.
func Bytes(contentType string, data []byte) (Outcome, error) {
	return Outcome{Output: Payload{contentType, data}}, nil
}

// Stream is an outcome with all that a reader gives as its output.
func Stream(contentType string, from io.Reader) (Outcome, error) {
	data, err := io.ReadAll(from)
	return Outcome{Output: Payload{contentType, data}}, err
}
