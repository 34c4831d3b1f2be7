package tests

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"julee/action"
	"julee/action/actionhttp"
	"julee/action/actionlog"
	"julee/action/actionnet"
	"julee/action/actiontest"
	"julee/action/outbound"
)

func answering(t *testing.T, answer func(*actiontest.Request) (*actiontest.Response, error)) *actiontest.Service {
	service := actiontest.New(t)
	service.Answer = answer
	return service
}

func status(code int, headers ...action.Header) func(*actiontest.Request) (*actiontest.Response, error) {
	return func(*actiontest.Request) (*actiontest.Response, error) {
		return &actiontest.Response{Status: code, Header: headers, Body: []byte("why")}, nil
	}
}

func TestNoAnswerIsInDoubtWhereARepeatMayActTwice(t *testing.T) {
	post := func(ctx context.Context) error {
		_, err := outbound.Post(ctx, "https://example.com/", action.TextPayload("x"))
		return err
	}
	get := func(ctx context.Context) error {
		_, err := outbound.Get(ctx, "https://example.com/")
		return err
	}
	ordinary := func(method, key string) func(context.Context) error {
		return func(ctx context.Context) error {
			request, err := http.NewRequestWithContext(ctx, method, "https://example.com/", strings.NewReader("x"))
			if err != nil {
				t.Fatal(err)
			}
			if key != "" {
				request.Header.Set("Idempotency-Key", key)
			}
			_, err = http.DefaultClient.Do(request)
			return err
		}
	}
	for _, one := range []struct {
		word   string
		send   func(context.Context) error
		kind   action.Kind
		advice action.Advice
	}{
		{"timed-out", post, action.Unavailable, action.InDoubt},
		{"timed-out", get, action.Unavailable, action.Retry},
		{"closed", ordinary("POST", ""), action.Unavailable, action.InDoubt},
		{"closed", ordinary("POST", "exe_1"), action.Unavailable, action.Retry},
		{"closed", ordinary("PUT", ""), action.Unavailable, action.Retry},
		{"bad-response", post, action.BadResponse, action.InDoubt},
		{"name-unknown", post, action.Unavailable, action.Retry},
		{"connect-failed", post, action.Unavailable, action.Retry},
		{"tls-failed", get, action.BadResponse, action.GiveUp},
		{"too-large", get, action.BadResponse, action.GiveUp},
		{"denied", ordinary("GET", ""), action.InvalidConfig, action.GiveUp},
		{"bad-request", get, action.InvalidConfig, action.GiveUp},
	} {
		answering(t, func(*actiontest.Request) (*actiontest.Response, error) { return nil, actiontest.Refuse(one.word, "so") })
		err := one.send(t.Context())
		var refused *outbound.Error
		if !errors.As(err, &refused) || refused.Timeout() != (one.word == "timed-out") {
			t.Fatalf("%s: %v", one.word, err)
		}
		failure := action.FailureOf(err)
		if failure.Kind != one.kind || failure.Advice != one.advice {
			t.Errorf("%s: %v, %v", one.word, failure.Kind, failure.Advice)
		}
	}
}

func TestAStatusSaysWhetherToTryAgain(t *testing.T) {
	date := action.Header{Name: "date", Value: "Mon, 23 Nov 2026 05:00:00 GMT"}
	for _, one := range []struct {
		code    int
		headers []action.Header
		kind    action.Kind
		advice  action.Advice
	}{
		{401, nil, action.Unauthenticated, action.GiveUp},
		{404, nil, action.Rejected, action.GiveUp},
		{429, []action.Header{{Name: "retry-after", Value: "7"}}, action.RateLimited, action.RetryAfter(7 * time.Second)},
		{503, []action.Header{date, {Name: "Retry-After", Value: "Mon, 23 Nov 2026 05:00:09 GMT"}}, action.Unavailable, action.RetryAfter(9 * time.Second)},
		{500, nil, action.Unavailable, action.Retry},
		{502, nil, action.Unavailable, action.InDoubt},
		{302, nil, action.Rejected, action.GiveUp},
	} {
		answering(t, status(one.code, one.headers...))
		response, err := outbound.Post(t.Context(), "https://example.com/p?q=1", action.TextPayload(""))
		if err != nil {
			t.Fatal(err)
		}
		failure := action.FailureOf(response.Err())
		if failure.Kind != one.kind || failure.Advice != one.advice || strings.Contains(failure.Message, "q=1") {
			t.Errorf("%d: %v, %v, %s", one.code, failure.Kind, failure.Advice, failure.Message)
		}
		request, err := http.NewRequest("POST", "https://example.com/p", nil)
		if err != nil {
			t.Fatal(err)
		}
		same, err := (&actionhttp.Transport{}).RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		again := action.FailureOf(actionhttp.Check(same))
		if again.Kind != one.kind || again.Advice != one.advice {
			t.Errorf("%d by net/http: %v, %v", one.code, again.Kind, again.Advice)
		}
	}
}

func TestAnOrdinaryClientSendsByTheService(t *testing.T) {
	service := answering(t, func(request *actiontest.Request) (*actiontest.Response, error) {
		return &actiontest.Response{Status: 201, Header: []action.Header{{Name: "x-one", Value: "1"}}, Body: request.Body}, nil
	})
	client := http.Client{Timeout: 5 * time.Second}
	response, err := client.Post("https://example.com/p", "text/plain", strings.NewReader("Grüße"))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil || string(body) != "Grüße" || response.StatusCode != 201 || response.Header.Get("X-One") != "1" {
		t.Errorf("%v %v %s", err, response, body)
	}
	sent := service.Requests[0]
	equal(t, sent.Get("content-type"), "text/plain")
	if sent.TimeoutMS < 1 || sent.TimeoutMS > 5000 {
		t.Errorf("it may take %d ms", sent.TimeoutMS)
	}
}

func TestARedirectToAnotherOriginTakesNoCredentialsAlong(t *testing.T) {
	to := map[string]string{
		"https://example.com/1":         "https://example.com/2",
		"https://example.com/2":         "https://sub.example.com/3",
		"https://sub.example.com/3":     "https://sub.example.com:443/4",
		"https://sub.example.com:443/4": "",
	}
	service := answering(t, func(request *actiontest.Request) (*actiontest.Response, error) {
		if next := to[request.URL]; next != "" {
			return &actiontest.Response{Status: 302, Header: []action.Header{{Name: "Location", Value: next}}}, nil
		}
		return &actiontest.Response{Status: 200}, nil
	})
	request, err := http.NewRequest("GET", "https://example.com/1", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer plain")
	request.Header.Set("X-Api-Key", "key sec_0123")
	request.Header.Set("Accept", "text/plain")
	if _, err := http.DefaultClient.Do(request); err != nil {
		t.Fatal(err)
	}
	if len(service.Requests) != 4 {
		t.Fatalf("%d requests", len(service.Requests))
	}
	for hop, sent := range service.Requests {
		stays := hop < 2
		if (sent.Get("Authorization") != "") != stays || (sent.Get("X-Api-Key") != "") != stays || sent.Get("Accept") == "" {
			t.Errorf("hop %d to %s has %v", hop, sent.URL, sent.Header)
		}
	}
}

func TestAContextThatHasEndedSendsNothing(t *testing.T) {
	service := answering(t, status(200))
	ctx, cancel := context.WithTimeout(t.Context(), -time.Second)
	defer cancel()
	_, err := outbound.Get(ctx, "https://example.com/")
	if !errors.Is(err, context.DeadlineExceeded) || len(service.Requests) != 0 {
		t.Errorf("%v, %d requests", err, len(service.Requests))
	}
}

// echo gives back what it is sent, in pieces, and then ends.
type echo struct {
	said bytes.Buffer
}

func (e *echo) Read() ([]byte, error) {
	return bytes.Clone(e.said.Next(5)), nil
}

func (e *echo) Write(data []byte) error {
	_, err := e.said.Write(data)
	return err
}

func TestAConnectionIsANetConn(t *testing.T) {
	service := actiontest.New(t)
	asked := ""
	service.Connect = func(address string) (actiontest.Peer, error) {
		asked = address
		return &echo{}, nil
	}
	conn, err := actionnet.DialContext(t.Context(), "tcp", "[::1]:6379")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, []string{asked, conn.RemoteAddr().String()}, []string{"::1:6379", "[::1]:6379"})
	if _, err := io.WriteString(conn, "PING and more"); err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(conn)
	if err != nil || string(said) != "PING and more" {
		t.Errorf("%v: %s", err, said)
	}
	if err := conn.SetDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	_, err = conn.Read(make([]byte, 1))
	var timeout net.Error
	if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("behind the deadline: %v", err)
	}
	if err := errors.Join(conn.Close(), conn.Close()); err != nil {
		t.Error(err)
	}
	if _, err := conn.Write([]byte("x")); err == nil {
		t.Error("it writes to what is closed")
	}
	for _, wrong := range []string{"", "host", "host:", ":1", "host:65536", "::1:6", "[::1:6"} {
		if _, err := outbound.Dial(t.Context(), wrong, nil); action.FailureOf(err).Kind != action.InvalidConfig {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

func TestTheRecordHasLinesWithTheirLevels(t *testing.T) {
	service := actiontest.New(t)
	log := slog.New(actionlog.New(slog.LevelInfo)).With("of", "me").WithGroup("g")
	log.Debug("not kept")
	log.Warn("what happened", "n", 1, "text", "two words")
	action.Logf(action.LevelError, "%d", 2)
	action.Progress(1, 0, "begun")
	action.Progress(2, 3, "on")
	equal(t, service.Log, []actiontest.Line{
		{action.LevelWarn, `what happened of=me g.n=1 g.text="two words"`}, {action.LevelError, "2"},
	})
	equal(t, service.Progress, []string{"1/? begun", "2/3 on"})
}
