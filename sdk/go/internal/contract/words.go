// Package contract stands between the contract's generated bindings and the SDK: it copies what comes in, gives
// what goes out its form, and knows which protocol is asked.
package contract

import "julee/action/internal/host"

// Exported is the protocol of this component. Package action sets it.
var Exported Protocol

// Protocol is the contract's functions, in Go's words.
type Protocol interface {
	Describe() Descriptor
	ValidateConfig(config string) (Accepted, []Issue)
	TestConnection(config string) (Report, *Failure)
	Execute(call Call) (Outcome, *Failure)
	// The outcome is that of TookEffect.
	Reconcile(call Call) (Reconciled, Outcome, *Failure)
}

// Descriptor says what a protocol is. Schemas are JSON, empty where there is none.
type Descriptor struct {
	Name, Version, Summary, Documentation   string
	ConfigSchema, InputSchema, OutputSchema string
	Examples                                []Example
	TestMethods                             []string
}

// Example of a config.
type Example struct {
	Name, Config string
}

// Issue is something about a config.
type Issue struct {
	Pointer, Code, Message string
}

// Accepted is what a config that is accepted can do.
type Accepted struct {
	Effect   uint8
	Warnings []Issue
}

// Report of a connection test. Details are JSON.
type Report struct {
	Summary, Details string
}

// Trigger of an execution.
type Trigger struct {
	// As the contract numbers them: call, webhook, schedule, event.
	Kind           uint8
	Method, Path   string
	Headers        []host.Header
	ScheduledAtUTC string
}

// Call is what execute is given.
type Call struct {
	Action, Execution, Correlation string
	Attempt                        uint32
	IdempotencyKey                 string
	Deadline                       string
	// Empty where there is none.
	Traceparent string
	Trigger     Trigger
	Config      string
	Input       host.Payload
}

// Reply to the caller of a webhook.
type Reply struct {
	Status  uint16
	Headers []host.Header
	Body    []byte
}

// Outcome of an execution.
type Outcome struct {
	Output host.Payload
	// Nil where there is none.
	Reply *Reply
}

// Reconciled is what became of an attempt in doubt.
type Reconciled uint8

// As the contract numbers them.
const (
	TookEffect Reconciled = iota
	DidNot
	Unknown
)

// Failure of an execution.
type Failure struct {
	Kind    uint8
	Message string
	// As the contract numbers them: give-up, retry, retry-after, in-doubt.
	Advice  uint8
	AfterMS uint32
	// JSON, empty where there are none.
	Details string
}
