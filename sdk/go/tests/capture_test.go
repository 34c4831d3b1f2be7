package tests

import (
	"encoding/hex"
	"errors"
	"fmt"
	"testing"

	"julee/action"
	"julee/action/actiontest"
)

func TestItemsAreCapturedOnceAndStateIsKept(t *testing.T) {
	service := actiontest.New(t)
	for _, key := range []string{"a", "a", "", ""} {
		if err := action.Emit(action.Item{Key: key, Kind: "entry", Content: action.TextPayload("x")}); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, len(service.Items), 3)
	_, has, err := action.StateJSON[map[string]int]("cursor")
	equal(t, []any{has, err}, []any{false, error(nil)})
	if err := action.SetStateJSON("cursor", map[string]int{"n": 2}); err != nil {
		t.Fatal(err)
	}
	cursor, has, err := action.StateJSON[map[string]int]("cursor")
	equal(t, []any{cursor, has, err}, []any{map[string]int{"n": 2}, true, error(nil)})
	_, _, err = action.StateJSON[[]int]("cursor")
	equal(t, action.FailureOf(err).Kind, action.Internal)
	if err := action.DeleteState("cursor"); err != nil || len(service.State) != 0 {
		t.Errorf("%v: %v", err, service.State)
	}
	service.Captures = false
	equal(t, action.FailureOf(action.Emit(action.Item{Kind: "entry"})).Kind, action.Unavailable)
}

func TestASecretShowsNothingOfItself(t *testing.T) {
	service := actiontest.New(t)
	service.Secrets["sec_1"] = []byte("key")
	secret := action.Secret("sec_1")
	equal(t, fmt.Sprintf("%v %s %#v", secret, secret, secret), "(secret) (secret) action.Secret(…)")
	value, err := secret.Reveal()
	equal(t, []any{string(value), err}, []any{"key", error(nil)})
	sum, err := secret.HMACSHA256(action.RawKey, "", []byte("The quick brown fox jumps over the lazy dog"))
	equal(t, []any{hex.EncodeToString(sum), err}, []any{"f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8", error(nil)})
	_, err = action.Secret("plain").Reveal()
	var failure *action.Failure
	if !errors.As(err, &failure) || failure.Kind != action.InvalidConfig {
		t.Errorf("no handle: %v", err)
	}
}

func TestAnInputIsReadByItsType(t *testing.T) {
	type input struct {
		Name string `json:"name"`
	}
	got, err := action.Decode[input](action.Payload{ContentType: "application/problem+json; charset=utf-8", Data: []byte(`{"name": "<Ada>"}`)})
	equal(t, []any{got, err}, []any{input{"<Ada>"}, error(nil)})
	_, err = action.Decode[input](action.TextPayload("{}"))
	equal(t, action.FailureOf(err).Kind, action.InvalidInput)
	outcome, err := action.JSON(got)
	equal(t, []any{string(outcome.Output.Data), err}, []any{`{"name":"<Ada>"}`, error(nil)})
	if !outcome.Output.IsJSON() || action.TextPayload("").IsJSON() {
		t.Error("which of them is JSON?")
	}
}
