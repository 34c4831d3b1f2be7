package tests

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"julee/action"
	"julee/action/actiontest"
	"julee/action/outbound"
)

func (p probe) TestConnection(ctx context.Context, _ config) (action.Report, error) {
	_, err := outbound.Get(ctx, "https://example.com/")
	return action.Report{Summary: "it answered", Details: map[string]int{"n": 1}}, err
}

func (p probe) Execute(_ context.Context, call *action.Call[config]) (action.Outcome, error) {
	return p.do(call)
}

// failing executes what fails, and gives the failure.
func failing(t *testing.T, do func(*action.Call[config]) (action.Outcome, error)) *action.Failure {
	t.Helper()
	_, err := actiontest.Execute(probe{do}, fits, action.Payload{})
	var failure *action.Failure
	if !errors.As(err, &failure) {
		t.Fatalf("it did not fail: %v", err)
	}
	return failure
}

func with(err error) func(*action.Call[config]) (action.Outcome, error) {
	return func(*action.Call[config]) (action.Outcome, error) { return action.Outcome{}, err }
}

func TestAnErrorIsTheFailureThatItWraps(t *testing.T) {
	cause := io.ErrUnexpectedEOF
	failure := action.Fail(action.RateLimited, "slow down: %w", cause).With(action.RetryAfter(1500 * time.Millisecond))
	if !errors.Is(failure, cause) {
		t.Error("it does not wrap what it was made of")
	}
	got := failing(t, with(fmt.Errorf("while reading: %w", failure.WithDetails(map[string]int{"left": 0}))))
	equal(t, got.Kind, action.RateLimited)
	equal(t, got.Message, "while reading: slow down: unexpected EOF")
	equal(t, got.Advice, action.RetryAfter(1500*time.Millisecond))
	equal(t, got.Details, json.RawMessage(`{"left":0}`))
	// The first failure is what it was.
	equal(t, failure.Details, nil)
}

func TestEachKindHasItsUsualAdvice(t *testing.T) {
	for kind := action.InvalidConfig; kind <= action.Internal; kind++ {
		wanted := action.GiveUp
		if kind == action.RateLimited || kind == action.Unavailable {
			wanted = action.Retry
		}
		got := failing(t, with(action.Fail(kind, "why")))
		equal(t, got.Kind, kind)
		equal(t, got.Advice, wanted)
	}
	equal(t, action.RetryAfter(-time.Second), action.RetryAfter(0))
	equal(t, action.RetryAfter(10_000*time.Hour).String(), "retry-after 4294967295 ms")
}

func TestAnyOtherErrorIsADefectAndSoIsAPanic(t *testing.T) {
	equal(t, failing(t, with(io.ErrClosedPipe)).Kind, action.Internal)
	service := actiontest.New(t)
	got := failing(t, func(*action.Call[config]) (action.Outcome, error) {
		var nothing map[string]int
		nothing["x"] = 1
		return action.Text("")
	})
	equal(t, got.Kind, action.Internal)
	if len(service.Log) != 1 || !strings.Contains(service.Log[0].Message, "failure_test.go") {
		t.Errorf("the log does not say where: %v", service.Log)
	}
}

func TestAConfigThatDoesNotFitIsAFailureWithItsIssues(t *testing.T) {
	_, err := actiontest.Execute(probe{}, `{"in/ner": {"names": ["a"]}}`, action.Payload{})
	failure := action.FailureOf(err)
	equal(t, failure.Kind, action.InvalidConfig)
	details := string(failure.Details.(json.RawMessage))
	equal(t, details, `{"issues":[{"pointer":"/url","code":"required","message":"is missing"}]}`)
}

func TestAConnectionTestReportsOrFails(t *testing.T) {
	service := actiontest.New(t)
	_, err := actiontest.TestConnection(probe{}, fits)
	equal(t, action.FailureOf(err).Kind, action.InvalidConfig)
	service.Answer = func(*actiontest.Request) (*actiontest.Response, error) {
		return &actiontest.Response{Status: 204}, nil
	}
	report, err := actiontest.TestConnection(probe{}, fits)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, report, action.Report{Summary: "it answered", Details: json.RawMessage(`{"n":1}`)})
}
