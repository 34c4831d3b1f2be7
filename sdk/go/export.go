package action

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"time"

	"julee/action/internal/contract"
	"julee/action/internal/host"
)

// Export makes a protocol the one of this program. Call it in an init function of package main: a component's main
// is not called.
func Export[C any](protocol Protocol[C]) {
	contract.Exported = exported[C]{protocol}
}

// exported is a protocol, as the contract calls it.
type exported[C any] struct {
	protocol Protocol[C]
}

func (e exported[C]) Describe() contract.Descriptor {
	about := e.protocol.About()
	examples := make([]contract.Example, 0, len(about.Examples))
	for _, example := range about.Examples {
		examples = append(examples, contract.Example(example))
	}
	return contract.Descriptor{
		Name: about.Name, Version: about.Version, Summary: about.Summary, Documentation: about.Documentation,
		ConfigSchema: string(SchemaOf[C]()), InputSchema: string(about.InputSchema), OutputSchema: string(about.OutputSchema),
		Examples: examples, TestMethods: about.TestMethods,
	}
}

func (e exported[C]) ValidateConfig(text string) (contract.Accepted, []contract.Issue) {
	var accepted Accepted
	err := guarded(func() (err error) {
		config, issues := parse[C]([]byte(text))
		if err := issues.Err(); err != nil {
			return err
		}
		accepted, err = e.protocol.Validate(config)
		return err
	})
	if err != nil {
		return contract.Accepted{}, refusal(err)
	}
	return contract.Accepted{Effect: uint8(accepted.Effect), Warnings: wire(accepted.Warnings)}, nil
}

func (e exported[C]) TestConnection(text string) (contract.Report, *contract.Failure) {
	var report Report
	err := guarded(func() (err error) {
		config, issues := parse[C]([]byte(text))
		if err := issues.Err(); err != nil {
			return err
		}
		report, err = e.protocol.TestConnection(context.Background(), config)
		return err
	})
	if err != nil {
		return contract.Report{}, FailureOf(err).forWire()
	}
	details := []byte("{}")
	if report.Details != nil {
		if details, err = json.Marshal(report.Details); err != nil {
			return contract.Report{}, Fail(Internal, "the report's details: %w", err).forWire()
		}
	}
	return contract.Report{Summary: report.Summary, Details: string(details)}, nil
}

func (e exported[C]) Execute(given contract.Call) (contract.Outcome, *contract.Failure) {
	var outcome Outcome
	err := e.called(given, func(ctx context.Context, call *Call[C]) (err error) {
		outcome, err = e.protocol.Execute(ctx, call)
		return err
	})
	if err != nil {
		return contract.Outcome{}, FailureOf(err).forWire()
	}
	return outcome.forWire(), nil
}

func (e exported[C]) Reconcile(given contract.Call) (contract.Reconciled, contract.Outcome, *contract.Failure) {
	reconciler, can := e.protocol.(Reconciler[C])
	if !can {
		return contract.Unknown, contract.Outcome{}, nil
	}
	var found Reconciled
	var outcome Outcome
	err := e.called(given, func(ctx context.Context, call *Call[C]) (err error) {
		found, outcome, err = reconciler.Reconcile(ctx, call)
		return err
	})
	if err != nil {
		return 0, contract.Outcome{}, FailureOf(err).forWire()
	}
	return contract.Reconciled(found), outcome.forWire(), nil
}

// called does something with a call, within its deadline.
func (e exported[C]) called(given contract.Call, work func(context.Context, *Call[C]) error) error {
	return guarded(func() error {
		config, issues := parse[C]([]byte(given.Config))
		if err := issues.Err(); err != nil {
			return err
		}
		call := &Call[C]{
			Action: given.Action, Execution: given.Execution, Correlation: given.Correlation,
			Attempt: int(given.Attempt), IdempotencyKey: given.IdempotencyKey, Traceparent: given.Traceparent,
			Trigger: triggerOf(given.Trigger), Config: config, Input: Payload(given.Input),
		}
		ctx := context.Background()
		if deadline, err := time.Parse(time.RFC3339, given.Deadline); err == nil {
			call.Deadline = deadline
			with, cancel := context.WithDeadline(ctx, deadline)
			defer cancel()
			ctx = with
		}
		return work(ctx, call)
	})
}

// guarded does something that may panic: a defect of the protocol, which the log tells more about.
func guarded(work func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			host.Current.Log(host.Error, fmt.Sprintf("panic: %v\n\n%s", cause, debug.Stack()))
			err = Fail(Internal, "panic: %v", cause)
		}
	}()
	return work()
}

// refusal is what is wrong with a config, of whatever Validate gave.
func refusal(err error) []contract.Issue {
	var issues Issues
	if errors.As(err, &issues) && len(issues) > 0 {
		return wire(issues)
	}
	return []contract.Issue{{Code: "invalid", Message: err.Error()}}
}

func wire(issues Issues) []contract.Issue {
	given := make([]contract.Issue, 0, len(issues))
	for _, issue := range issues {
		given = append(given, contract.Issue(issue))
	}
	return given
}

func triggerOf(given contract.Trigger) Trigger {
	trigger := Trigger{Kind: TriggerKind(given.Kind)}
	switch trigger.Kind {
	case TriggerWebhook:
		trigger.Webhook = &WebhookRequest{Method: given.Method, PathWithQuery: given.Path}
		for _, header := range given.Headers {
			trigger.Webhook.Headers = append(trigger.Webhook.Headers, Header{header.Name, string(header.Value)})
		}
	case TriggerSchedule:
		// The contract's times are RFC 3339; one that is not stays zero.
		trigger.ScheduledAt, _ = time.Parse(time.RFC3339, given.ScheduledAtUTC)
	}
	return trigger
}

// forWire gives an outcome the contract's form.
func (o Outcome) forWire() contract.Outcome {
	given := contract.Outcome{Output: host.Payload(o.Output)}
	if o.Reply == nil {
		return given
	}
	// What is no status the service refuses, and says so.
	status := uint16(min(max(o.Reply.Status, 0), math.MaxUint16))
	given.Reply = &contract.Reply{Status: status, Body: o.Reply.Body}
	for _, header := range o.Reply.Headers {
		given.Reply.Headers = append(given.Reply.Headers, host.Header{Name: header.Name, Value: []byte(header.Value)})
	}
	return given
}
