package action

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"julee/action/internal/contract"
)

// Kind of a failure.
type Kind uint8

// The kinds, as the contract numbers them.
const (
	// InvalidConfig: the config cannot work.
	InvalidConfig Kind = iota
	// InvalidInput: the input cannot be handled.
	InvalidInput
	// Unauthenticated: the remote does not know or does not admit us.
	Unauthenticated
	// Rejected: the remote refused, and would refuse a repeat too.
	Rejected
	// RateLimited: the remote asks us to slow down.
	RateLimited
	// Unavailable: the remote could not be reached or could not answer.
	Unavailable
	// BadResponse: the remote answered something that makes no sense.
	BadResponse
	// Internal is a defect of the protocol itself. Every other error that Execute gives becomes one.
	Internal
)

var kinds = [...]string{
	"invalid-config", "invalid-input", "unauthenticated", "rejected", "rate-limited", "unavailable", "bad-response", "internal",
}

// String is the contract's word.
func (k Kind) String() string {
	if int(k) < len(kinds) {
		return kinds[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Advice says what the service should do after a failure.
type Advice struct {
	word  uint8
	after uint32
}

// The advice there is, beside RetryAfter.
var (
	// GiveUp: a repeat would end the same way.
	GiveUp = Advice{}
	// Retry by the action's own schedule.
	Retry = Advice{word: 1}
	// InDoubt: it may or may not have taken effect.
	InDoubt = Advice{word: 3}
)

// RetryAfter is Retry, but not before this time has passed; at most what the contract can carry, 49 days.
func RetryAfter(wait time.Duration) Advice {
	return Advice{word: 2, after: uint32(min(max(wait.Milliseconds(), 0), math.MaxUint32))}
}

// String is the contract's word, with its time.
func (a Advice) String() string {
	if a.word == RetryAfter(0).word {
		return fmt.Sprintf("retry-after %d ms", a.after)
	}
	return [...]string{"give-up", "retry", "", "in-doubt"}[a.word&3]
}

// Failure says why an execution did not succeed. Fail makes one; errors.As finds it in what wraps it.
type Failure struct {
	Kind    Kind
	Message string
	Advice  Advice
	// For a program to read: anything that JSON can hold, or nil.
	Details any

	wrapped error
}

// Fail makes a failure with the advice that its kind usually carries: Retry for RateLimited and Unavailable, else
// GiveUp. The rest is as in fmt.Errorf, %w included.
func Fail(kind Kind, format string, arguments ...any) *Failure {
	err := fmt.Errorf(format, arguments...)
	failure := &Failure{Kind: kind, Message: err.Error(), wrapped: errors.Unwrap(err)}
	if kind == RateLimited || kind == Unavailable {
		failure.Advice = Retry
	}
	return failure
}

// With gives the same failure with other advice.
func (f *Failure) With(advice Advice) *Failure {
	other := *f
	other.Advice = advice
	return &other
}

// WithDetails gives the same failure with details.
func (f *Failure) WithDetails(details any) *Failure {
	other := *f
	other.Details = details
	return &other
}

func (f *Failure) Error() string {
	return f.Message
}

// Unwrap gives what Fail was given for %w.
func (f *Failure) Unwrap() error {
	return f.wrapped
}

// Failer is an error that knows which failure it means; those of the SDK do.
type Failer interface {
	error
	Failure() *Failure
}

// FailureOf says which failure an error means for an execution. What wraps a Failure or a Failer means the same, in
// its own words. Any other error is Internal. Nil is nil.
func FailureOf(err error) *Failure {
	if err == nil {
		return nil
	}
	var failure *Failure
	var failer Failer
	switch {
	case errors.As(err, &failure):
	case errors.As(err, &failer):
		failure = failer.Failure()
	default:
		return Fail(Internal, "%w", err)
	}
	meant := *failure
	meant.Message = err.Error()
	return &meant
}

// forWire gives a failure the contract's form.
func (f *Failure) forWire() *contract.Failure {
	wire := &contract.Failure{
		Kind: uint8(f.Kind), Message: f.Message, Advice: f.Advice.word, AfterMS: f.Advice.after,
	}
	if f.Details == nil {
		return wire
	}
	// Details that JSON cannot hold are no reason to lose the failure.
	if details, err := json.Marshal(f.Details); err == nil {
		wire.Details = string(details)
	}
	return wire
}
