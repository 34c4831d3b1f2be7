// Package action is for writing protocols of the action service in Go.
//
// A protocol is a value with four methods, exported once:
//
//	package main
//
//	type Config struct {
//		URL string `json:"url" doc:"Where to look." egress:"http"`
//	}
//
//	type Peek struct{}
//
//	func (Peek) About() action.About {
//		return action.About{Name: "peek", Version: "0.1.0", Summary: "Reads a page"}
//	}
//
//	func (Peek) Validate(Config) (action.Accepted, error) {
//		return action.Accepted{Effect: action.Read}, nil
//	}
//
//	func (Peek) TestConnection(ctx context.Context, config Config) (action.Report, error) { … }
//
//	func (Peek) Execute(ctx context.Context, call *action.Call[Config]) (action.Outcome, error) {
//		response, err := actionhttp.Get(ctx, call.Config.URL)
//		if err != nil {
//			return action.Outcome{}, err
//		}
//		defer response.Body.Close()
//		return action.Stream("text/html", response.Body)
//	}
//
//	func init() { action.Export(Peek{}) }
//
//	func main() {}
//
// The schema of the config is made of its struct, so the two cannot drift apart. A *Failure, found by errors.As in
// whatever wraps it, says what went wrong and whether to try again. Each call of the service gets a fresh instance:
// nothing survives in memory from one to the next, and init functions run in each.
//
// The words are those of the contract, wit/v0.1/action.wit.
package action

import (
	"context"
	"time"
)

// Protocol knows how to speak to one type of outside system. C is its config, a struct; SchemaOf says what its tags mean.
type Protocol[C any] interface {
	// About says what the protocol is.
	About() About

	// Validate says what repeating an execution can do outside, or everything that is wrong with a config: Issues, by
	// their Err. What the type itself refuses is reported by the SDK. It gets no network.
	Validate(config C) (Accepted, error)

	// TestConnection reaches the outside system without changing anything there.
	TestConnection(ctx context.Context, config C) (Report, error)

	// Execute does the work. The context ends at the call's deadline.
	Execute(ctx context.Context, call *Call[C]) (Outcome, error)
}

// Reconciler is a protocol that can find out what became of an attempt in doubt. Package reconciler exports it.
type Reconciler[C any] interface {
	Protocol[C]

	// Reconcile is given the call that Execute had. The outcome counts where it took effect.
	Reconcile(ctx context.Context, call *Call[C]) (Reconciled, Outcome, error)
}

// About says what a protocol is.
type About struct {
	// [a-z][a-z0-9-]{0,62}
	Name string
	// A semantic version of this implementation.
	Version string
	// One line for a list.
	Summary string
	// Markdown for the person who configures an action.
	Documentation string
	// Of the input and output, where they are JSON: SchemaOf makes them.
	InputSchema, OutputSchema Schema
	// Shown to people and tried by the checker.
	Examples []Example
	// HTTP methods beside GET, HEAD and OPTIONS that TestConnection needs.
	TestMethods []string
}

// Example of a config.
type Example struct {
	Name string
	// As JSON. A secret is {"$secret": "name"}.
	Config string
}

// Effect is what repeating an execution can do to the outside world.
type Effect uint8

// The effects, as the contract numbers them.
const (
	// Read: it only reads.
	Read Effect = iota
	// Idempotent: it writes, but a repeat changes nothing further.
	Idempotent
	// Keyed: the remote drops repeats that carry the same idempotency key.
	Keyed
	// Unsafe: a repeat may act twice.
	Unsafe
)

// Accepted is what Validate says of a config that it accepts.
type Accepted struct {
	Effect Effect
	// Things to know that do not stop anything.
	Warnings Issues
}

// Report of a connection test.
type Report struct {
	// One line: who answered, as whom the service is known there.
	Summary string
	// For a program to read: anything that JSON can hold, or nil.
	Details any
}

// Call is what Execute is given.
type Call[C any] struct {
	Action, Execution, Correlation string
	// 1 for the first attempt.
	Attempt int
	// The same for every attempt of one execution.
	IdempotencyKey string
	// The attempt is ended at this time, wherever it is.
	Deadline time.Time
	// W3C trace context of the attempt, for outgoing requests; empty where there is none.
	Traceparent string
	Trigger     Trigger
	Config      C
	Input       Payload
}

// Trigger is what set an execution off.
type Trigger struct {
	Kind TriggerKind
	// Of a webhook, else nil. Its body is the input.
	Webhook *WebhookRequest
	// When a schedule came due, else zero.
	ScheduledAt time.Time
}

// TriggerKind says what set an execution off.
type TriggerKind uint8

// The kinds, as the contract numbers them.
const (
	// TriggerCall: somebody called the API.
	TriggerCall TriggerKind = iota
	// TriggerWebhook: the outside world called a webhook endpoint.
	TriggerWebhook
	// TriggerSchedule: a schedule came due.
	TriggerSchedule
	// TriggerEvent: an event of the service itself matched; its CloudEvents JSON is the input.
	TriggerEvent
)

// WebhookRequest is the head of the request that called a webhook endpoint.
type WebhookRequest struct {
	Method        string
	PathWithQuery string
	Headers       []Header
}

// Reconciled is what became of an attempt in doubt.
type Reconciled uint8

// What Reconcile can find.
const (
	// TookEffect: it did, and the outcome is what it would have given.
	TookEffect Reconciled = iota
	// DidNot: it did not, and may be tried again. This has to be known, not supposed.
	DidNot
	// Unknown: nobody can say. The remote may still be at work.
	Unknown
)
