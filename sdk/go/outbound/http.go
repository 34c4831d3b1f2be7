// Package outbound is the way out in its simplest form: one request over HTTP, or a TCP connection.
//
// The service resolves names, checks them against the action's grants, connects, does TLS and puts secrets in the place
// of their handles. None of that is in the component. Packages actionhttp and actionnet have the same as an
// http.RoundTripper and a net.Conn; they bring net/http and net along, which are megabytes.
package outbound

import (
	"context"
	"encoding/base64"
	"math"
	"strings"
	"time"

	"julee/action"
	"julee/action/internal/answer"
	"julee/action/internal/host"
)

// Request over HTTP.
type Request struct {
	Method, URL string
	Header      []action.Header
	// Nil where there is none.
	Body []byte
	// For a private CA or a client certificate; nil as usual.
	TLS *TLS
	// A repeat does no harm, although the method says nothing of it: a POST with an idempotency key.
	MayRepeat bool
}

// Response over HTTP, the whole of it.
type Response struct {
	Status int
	Header []action.Header
	Body   []byte
	// Who gave it.
	URL string

	mayRepeat bool
}

// TLS says what is not as usual. What is empty is.
type TLS struct {
	// The name that is connected to, where it is empty.
	ServerName string
	// PEM, beside the well-known roots.
	ExtraRoots string
	// PEM, leaf first, and the secret that holds its key (PEM).
	ClientChain string
	ClientKey   action.Secret
	ALPN        []string
}

// forHost is nil where nothing was said.
func (t *TLS) forHost() *host.TLS {
	if t == nil {
		return nil
	}
	return &host.TLS{
		ServerName: t.ServerName, ExtraRoots: t.ExtraRoots, ClientChain: t.ClientChain, ClientKey: string(t.ClientKey), ALPN: t.ALPN,
	}
}

// Bearer is the header that authenticates with a token.
func Bearer(token action.Secret) action.Header {
	return action.Header{Name: "Authorization", Value: "Bearer " + string(token)}
}

// Basic is the header that authenticates with a name and a password. The service looks into the encoded pair for handles.
func Basic(name string, password action.Secret) action.Header {
	pair := base64.StdEncoding.EncodeToString([]byte(name + ":" + string(password)))
	return action.Header{Name: "Authorization", Value: "Basic " + pair}
}

// Get sends a GET.
func Get(ctx context.Context, url string, header ...action.Header) (*Response, error) {
	return Send(ctx, &Request{Method: "GET", URL: url, Header: header})
}

// Head sends a HEAD: what GET would give, without its body.
func Head(ctx context.Context, url string, header ...action.Header) (*Response, error) {
	return Send(ctx, &Request{Method: "HEAD", URL: url, Header: header})
}

// Post sends a POST with a payload.
func Post(ctx context.Context, url string, payload action.Payload, header ...action.Header) (*Response, error) {
	header = append([]action.Header{{Name: "Content-Type", Value: payload.ContentType}}, header...)
	return Send(ctx, &Request{Method: "POST", URL: url, Header: header, Body: append([]byte{}, payload.Data...)})
}

// Send sends one request, within the context's deadline. Any status is an answer, and redirects are not followed.
func Send(ctx context.Context, request *Request) (*Response, error) {
	timeout, err := remaining(ctx)
	if err != nil {
		return nil, err
	}
	given := &host.Request{
		Method: request.Method, URL: request.URL, Body: request.Body, TimeoutMS: timeout, TLS: request.TLS.forHost(),
	}
	for _, header := range request.Header {
		given.Headers = append(given.Headers, host.Header{Name: header.Name, Value: []byte(header.Value)})
	}
	mayRepeat := request.MayRepeat || answer.MayRepeat(request.Method)
	got, err := host.Current.Send(given)
	if err != nil {
		return nil, errorOf(err, mayRepeat)
	}
	response := &Response{Status: int(got.Status), Body: got.Body, URL: request.URL, mayRepeat: mayRepeat}
	for _, header := range got.Headers {
		response.Header = append(response.Header, action.Header{Name: header.Name, Value: string(header.Value)})
	}
	return response, nil
}

// remaining milliseconds of a context; 0 where it has no deadline.
func remaining(ctx context.Context) (uint32, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	deadline, has := ctx.Deadline()
	if !has {
		return 0, nil
	}
	return uint32(min(max(time.Until(deadline).Milliseconds(), 1), math.MaxUint32)), nil
}

// Get is the first header of this name, in any case; empty where there is none.
func (r *Response) Get(name string) string {
	for _, header := range r.Header {
		if strings.EqualFold(header.Name, name) {
			return strings.TrimSpace(header.Value)
		}
	}
	return ""
}

// OK says whether the status is 2xx.
func (r *Response) OK() bool {
	return r.Status >= 200 && r.Status < 300
}

// Err is nil where the status is 2xx, else what it means for an execution.
func (r *Response) Err() error {
	if r.OK() {
		return nil
	}
	return answer.Failure(r.URL, r.Status, r.Get, r.Body, r.mayRepeat)
}

// Payload is the body with its content type.
func (r *Response) Payload() action.Payload {
	kind := r.Get("Content-Type")
	if kind == "" {
		kind = "application/octet-stream"
	}
	return action.Payload{ContentType: kind, Data: r.Body}
}

// Decode makes a T of the JSON in a response. Where it does not fit, the error is a BadResponse.
func Decode[T any](response *Response) (T, error) {
	value, err := action.Decode[T](response.Payload())
	if failure := action.FailureOf(err); failure != nil {
		return value, action.Fail(action.BadResponse, "the answer: %w", err).WithDetails(failure.Details)
	}
	return value, nil
}

// RetryAfter is how long the remote asks to wait, where it does.
func (r *Response) RetryAfter() (time.Duration, bool) {
	return answer.RetryAfter(r.Get)
}
