package action

import (
	"encoding/json"
	"errors"
	"fmt"

	"julee/action/internal/host"
)

// Item is a piece of information that comes in from outside.
type Item struct {
	// With a key it is captured once: what this action captured under it before is dropped. Empty: it has none.
	Key string
	// A short snake_case name of what it is.
	Kind    string
	Content Payload
}

// CaptureError says what was not taken. Where it is TooLarge a repeat would be too.
type CaptureError struct {
	TooLarge bool
	Message  string
}

func (e *CaptureError) Error() string {
	return e.Message
}

// Failure is what it means for an execution that does not go on without.
func (e *CaptureError) Failure() *Failure {
	if e.TooLarge {
		return Fail(Rejected, "%s", e.Message)
	}
	return Fail(Unavailable, "%s", e.Message)
}

// Emit captures an item. Nothing that is captured or set is visible to anyone until the attempt succeeds or
// Checkpoint returns; then all of it is, at once.
func Emit(item Item) error {
	given := host.Item{Kind: item.Kind, Content: host.Payload(item.Content)}
	if item.Key != "" {
		given.Key = &item.Key
	}
	return captureError(host.Current.Emit(given))
}

// State is what the action's own store, which is kept between executions, holds under this name: nil where there is
// nothing.
func State(key string) ([]byte, error) {
	value, err := host.Current.State(key)
	return value, captureError(err)
}

// SetState puts bytes into the action's store.
func SetState(key string, value []byte) error {
	return captureError(host.Current.SetState(key, value))
}

// DeleteState takes a name out of the action's store.
func DeleteState(key string) error {
	return captureError(host.Current.DeleteState(key))
}

// StateJSON is what SetStateJSON put under this name, and whether there is something. State that does not fit was
// written by another version of the protocol, and this one has to read what its predecessors wrote: a defect of it.
func StateJSON[T any](key string) (T, bool, error) {
	var value T
	text, err := State(key)
	if err != nil || text == nil {
		return value, false, err
	}
	value, issues := parse[T](text)
	if err := issues.Err(); err != nil {
		return value, true, Fail(Internal, "the state %s does not fit: %s", key, err.Error())
	}
	return value, true, nil
}

// SetStateJSON puts a value into the action's store, as JSON.
func SetStateJSON(key string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("the state %s: %w", key, err)
	}
	return SetState(key, text)
}

// Checkpoint makes what was emitted and set so far durable, and says how many items were new.
func Checkpoint() (int, error) {
	count, err := host.Current.Checkpoint()
	return int(count), captureError(err)
}

func captureError(err error) error {
	var given *host.CaptureError
	if errors.As(err, &given) {
		return &CaptureError{given.TooLarge, given.Detail}
	}
	return err
}
