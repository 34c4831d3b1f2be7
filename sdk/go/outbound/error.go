package outbound

import (
	"errors"
	"os"

	"julee/action"
	"julee/action/internal/host"
)

// Reason says why there was no answer.
type Reason uint8

// The reasons, as the contract numbers them.
const (
	// Denied: no grant for this host, port or address; the detail names the rule.
	Denied Reason = iota
	NameUnknown
	ConnectFailed
	TLSFailed
	TimedOut
	Closed
	// TooLarge: over the attempt's limit of as many bytes as the detail says.
	TooLarge
	BadRequest
	BadResponse
)

var words = [...]string{
	"denied", "the name is unknown", "no connection", "no TLS", "it took too long", "the connection was closed",
	"the answer is over so many bytes", "the request makes no sense", "the answer makes no sense",
}

// Error is no answer, and why. It is a net.Error, and os.ErrDeadlineExceeded where it took too long.
type Error struct {
	Reason Reason
	Detail string
	// A repeat does no harm: then no answer means to try again, and not that it is in doubt.
	MayRepeat bool
}

func (e *Error) Error() string {
	text := words[min(int(e.Reason), len(words)-1)]
	if e.Detail != "" {
		return text + ": " + e.Detail
	}
	return text
}

// Timeout says whether it took too long.
func (e *Error) Timeout() bool {
	return e.Reason == TimedOut
}

// Temporary is for net.Error alone.
func (e *Error) Temporary() bool {
	return e.Timeout()
}

// Is says that what took too long is os.ErrDeadlineExceeded.
func (e *Error) Is(target error) bool {
	return target == os.ErrDeadlineExceeded && e.Timeout()
}

// Failure is what it means for an execution. Where the request may have been carried out and nobody knows, a repeat
// is right only if it does no harm.
func (e *Error) Failure() *action.Failure {
	repeat := action.InDoubt
	if e.MayRepeat {
		repeat = action.Retry
	}
	switch e.Reason {
	case Denied, BadRequest:
		return action.Fail(action.InvalidConfig, "%s", e.Error())
	case NameUnknown, ConnectFailed:
		return action.Fail(action.Unavailable, "%s", e.Error())
	case TimedOut, Closed:
		return action.Fail(action.Unavailable, "%s", e.Error()).With(repeat)
	case BadResponse:
		return action.Fail(action.BadResponse, "%s", e.Error()).With(repeat)
	}
	// TLS, and too large: a repeat would bring the same.
	return action.Fail(action.BadResponse, "%s", e.Error())
}

func errorOf(err error, mayRepeat bool) error {
	var given *host.OutboundError
	if errors.As(err, &given) {
		return &Error{Reason: Reason(given.Word), Detail: given.Detail, MayRepeat: mayRepeat}
	}
	return err
}
