//go:build wasip1

package contract

import (
	"bytes"
	"strings"

	"julee/action/internal/bindings/julee_action_model"
	"julee/action/internal/host"
	"julee/action/internal/wit/runtime"
	witTypes "julee/action/internal/wit/types"
)

// What a program does that exports nothing is the author's mistake, and is told where it is seen.
func exported() Protocol {
	if Exported == nil {
		panic("this component exports no protocol: call action.Export where main's package is initialised")
	}
	return Exported
}

// Describe is exported.
func Describe() julee_action_model.Descriptor {
	d := exported().Describe()
	examples := make([]julee_action_model.Example, 0, len(d.Examples))
	for _, example := range d.Examples {
		examples = append(examples, julee_action_model.Example{Name: valid(example.Name), Config: valid(example.Config)})
	}
	return julee_action_model.Descriptor{
		Name: valid(d.Name), Version: valid(d.Version), Summary: valid(d.Summary), Documentation: valid(d.Documentation),
		ConfigSchema: valid(d.ConfigSchema), InputSchema: option(d.InputSchema), OutputSchema: option(d.OutputSchema),
		Examples: examples, TestMethods: d.TestMethods,
	}
}

// ValidateConfig is exported.
func ValidateConfig(config string) witTypes.Result[julee_action_model.Accepted, []julee_action_model.Issue] {
	config = keepText(config)
	accepted, issues := exported().ValidateConfig(config)
	if len(issues) > 0 {
		return witTypes.Err[julee_action_model.Accepted](issuesOf(issues))
	}
	return witTypes.Ok[julee_action_model.Accepted, []julee_action_model.Issue](
		julee_action_model.Accepted{Effect: accepted.Effect, Warnings: issuesOf(accepted.Warnings)})
}

// TestConnection is exported.
func TestConnection(config string) witTypes.Result[julee_action_model.ConnectionReport, julee_action_model.Failure] {
	config = keepText(config)
	report, failure := exported().TestConnection(config)
	if failure != nil {
		return witTypes.Err[julee_action_model.ConnectionReport](failureOf(failure))
	}
	return witTypes.Ok[julee_action_model.ConnectionReport, julee_action_model.Failure](
		julee_action_model.ConnectionReport{Summary: valid(report.Summary), Details: valid(report.Details)})
}

// Execute is exported.
func Execute(call julee_action_model.Call) witTypes.Result[julee_action_model.Outcome, julee_action_model.Failure] {
	outcome, failure := exported().Execute(callOf(call))
	if failure != nil {
		return witTypes.Err[julee_action_model.Outcome](failureOf(failure))
	}
	return witTypes.Ok[julee_action_model.Outcome, julee_action_model.Failure](outcomeOf(outcome))
}

// Reconcile is exported; a component has it only where its protocol can.
func Reconcile(call julee_action_model.Call) witTypes.Result[julee_action_model.Reconciliation, julee_action_model.Failure] {
	found, outcome, failure := exported().Reconcile(callOf(call))
	if failure != nil {
		return witTypes.Err[julee_action_model.Reconciliation](failureOf(failure))
	}
	reconciliation := julee_action_model.MakeReconciliationUnknown()
	switch found {
	case TookEffect:
		reconciliation = julee_action_model.MakeReconciliationTookEffect(outcomeOf(outcome))
	case DidNot:
		reconciliation = julee_action_model.MakeReconciliationDidNot()
	}
	return witTypes.Ok[julee_action_model.Reconciliation, julee_action_model.Failure](reconciliation)
}

// keepText copies a text that the service handed over alone, and gives back its memory.
func keepText(text string) string {
	text = strings.Clone(text)
	runtime.Reset()
	return text
}

// callOf copies a call, and gives back its memory.
func callOf(call julee_action_model.Call) Call {
	kept := Call{
		Action:         strings.Clone(call.Action),
		Execution:      strings.Clone(call.Execution),
		Correlation:    strings.Clone(call.Correlation),
		Attempt:        call.Attempt,
		IdempotencyKey: strings.Clone(call.IdempotencyKey),
		Deadline:       strings.Clone(call.Deadline),
		Trigger:        Trigger{Kind: call.Trigger.Tag()},
		Config:         strings.Clone(call.Config),
		Input:          host.Payload{ContentType: strings.Clone(call.Input.ContentType), Data: bytes.Clone(call.Input.Data)},
	}
	if call.Traceparent.Tag() == witTypes.OptionSome {
		kept.Traceparent = strings.Clone(call.Traceparent.Some())
	}
	switch kept.Trigger.Kind {
	case julee_action_model.Trigger_Webhook:
		request := call.Trigger.Webhook()
		kept.Trigger.Method = strings.Clone(request.Method)
		kept.Trigger.Path = strings.Clone(request.PathWithQuery)
		kept.Trigger.Headers = keepHeaders(request.Headers)
	case julee_action_model.Trigger_Schedule:
		kept.Trigger.ScheduledAtUTC = strings.Clone(call.Trigger.Schedule())
	}
	runtime.Reset()
	return kept
}

func keepHeaders(headers []julee_action_model.Header) []host.Header {
	kept := make([]host.Header, 0, len(headers))
	for _, header := range headers {
		kept = append(kept, host.Header{Name: strings.Clone(header.Name), Value: bytes.Clone(header.Value)})
	}
	return kept
}

func headersOf(headers []host.Header) []julee_action_model.Header {
	given := make([]julee_action_model.Header, 0, len(headers))
	for _, header := range headers {
		given = append(given, julee_action_model.Header{Name: valid(header.Name), Value: header.Value})
	}
	return given
}

func issuesOf(issues []Issue) []julee_action_model.Issue {
	given := make([]julee_action_model.Issue, 0, len(issues))
	for _, issue := range issues {
		given = append(given, julee_action_model.Issue{
			Pointer: valid(issue.Pointer), Code: valid(issue.Code), Message: valid(issue.Message),
		})
	}
	return given
}

func outcomeOf(outcome Outcome) julee_action_model.Outcome {
	given := julee_action_model.Outcome{Output: payloadOf(outcome.Output)}
	if reply := outcome.Reply; reply != nil {
		given.Reply = witTypes.Some(julee_action_model.WebhookReply{
			Status: reply.Status, Headers: headersOf(reply.Headers), Body: reply.Body,
		})
	}
	return given
}

func failureOf(failure *Failure) julee_action_model.Failure {
	advice := julee_action_model.MakeAdviceGiveUp()
	switch failure.Advice {
	case julee_action_model.Advice_Retry:
		advice = julee_action_model.MakeAdviceRetry()
	case julee_action_model.Advice_RetryAfter:
		advice = julee_action_model.MakeAdviceRetryAfter(failure.AfterMS)
	case julee_action_model.Advice_InDoubt:
		advice = julee_action_model.MakeAdviceInDoubt()
	}
	return julee_action_model.Failure{
		Kind: failure.Kind, Message: valid(failure.Message), Advice: advice, Details: option(failure.Details),
	}
}

// option of a text that is empty where there is none.
func option(text string) witTypes.Option[string] {
	if text == "" {
		return witTypes.None[string]()
	}
	return witTypes.Some(valid(text))
}

func payloadOf(payload host.Payload) julee_action_model.Payload {
	return julee_action_model.Payload{ContentType: valid(payload.ContentType), Data: payload.Data}
}

// valid is a text as the contract takes it: a string of Go's may hold any bytes, and one that is no UTF-8 would end
// the instance.
func valid(text string) string {
	return strings.ToValidUTF8(text, "\uFFFD")
}
