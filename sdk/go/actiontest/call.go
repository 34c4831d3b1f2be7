package actiontest

import (
	"encoding/json"
	"time"

	"julee/action"
	"julee/action/internal/contract"
	"julee/action/internal/host"
)

// An attempt's time, as long as the service gives it where an action says nothing.
const attempt = 30 * time.Second

// JSON is an input.
func JSON(value any) action.Payload {
	payload, err := action.JSONPayload(value)
	if err != nil {
		panic(err)
	}
	return payload
}

// Validate gives what the service would hear of a config: what is wrong with it, or what it can do.
func Validate[C any](protocol action.Protocol[C], config string) (action.Accepted, action.Issues) {
	action.Export(protocol)
	accepted, issues := contract.Exported.ValidateConfig(config)
	return action.Accepted{Effect: action.Effect(accepted.Effect), Warnings: issuesOf(accepted.Warnings)}, issuesOf(issues)
}

// TestConnection gives the report, or an *action.Failure. Details are JSON.
func TestConnection[C any](protocol action.Protocol[C], config string) (action.Report, error) {
	action.Export(protocol)
	report, failure := contract.Exported.TestConnection(config)
	return action.Report{Summary: report.Summary, Details: json.RawMessage(report.Details)}, errorOf(failure)
}

// Execute gives the outcome of a call, or an *action.Failure.
func Execute[C any](protocol action.Protocol[C], config string, input action.Payload) (action.Outcome, error) {
	action.Export(protocol)
	outcome, failure := contract.Exported.Execute(call(config, input))
	return outcomeOf(outcome), errorOf(failure)
}

// Reconcile gives what became of such a call.
func Reconcile[C any](protocol action.Reconciler[C], config string, input action.Payload) (action.Reconciled, action.Outcome, error) {
	action.Export[C](protocol)
	found, outcome, failure := contract.Exported.Reconcile(call(config, input))
	return action.Reconciled(found), outcomeOf(outcome), errorOf(failure)
}

// ConfigSchema is what the service is told about a protocol's config.
func ConfigSchema[C any](protocol action.Protocol[C]) action.Schema {
	action.Export(protocol)
	return action.Schema(contract.Exported.Describe().ConfigSchema)
}

func call(config string, input action.Payload) contract.Call {
	deadline := time.Now().Add(attempt).UTC().Format(time.RFC3339)
	return contract.Call{
		Action: "act_1", Execution: "exe_1", Correlation: "exe_1", Attempt: 1, IdempotencyKey: "exe_1",
		Deadline: deadline, Config: config, Input: host.Payload(input),
	}
}

func outcomeOf(given contract.Outcome) action.Outcome {
	outcome := action.Outcome{Output: action.Payload(given.Output)}
	if given.Reply != nil {
		outcome.Reply = &action.Reply{Status: int(given.Reply.Status), Body: given.Reply.Body}
		for _, header := range given.Reply.Headers {
			outcome.Reply.Headers = append(outcome.Reply.Headers, action.Header{Name: header.Name, Value: string(header.Value)})
		}
	}
	return outcome
}

func errorOf(given *contract.Failure) error {
	if given == nil {
		return nil
	}
	advice := map[uint8]action.Advice{
		1: action.Retry, 2: action.RetryAfter(time.Duration(given.AfterMS) * time.Millisecond), 3: action.InDoubt,
	}[given.Advice]
	failure := action.Fail(action.Kind(given.Kind), "%s", given.Message).With(advice)
	if given.Details != "" {
		failure.Details = json.RawMessage(given.Details)
	}
	return failure
}

func issuesOf(given []contract.Issue) action.Issues {
	var issues action.Issues
	for _, issue := range given {
		issues = append(issues, action.Issue(issue))
	}
	return issues
}
