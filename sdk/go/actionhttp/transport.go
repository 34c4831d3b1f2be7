// Package actionhttp has the way out as an http.RoundTripper, so that net/http and what is built on it work in a
// protocol. To import it makes it http.DefaultTransport.
//
// It brings net/http along, about 7 MiB of a component; package outbound does without.
package actionhttp

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"julee/action"
	"julee/action/internal/answer"
	"julee/action/outbound"
)

// Enough of a body to see what the remote complains about.
const excerptBytesMax = 4096

// What handles of secrets begin with.
const handle = "sec_"

func init() {
	http.DefaultTransport = &Transport{}
}

// Transport sends by the service, which resolves, connects, does TLS and puts secrets in the place of their handles.
// The timeout is what is left of the request's context.
type Transport struct {
	// For a private CA or a client certificate; nil as usual.
	TLS *outbound.TLS
}

// RoundTrip sends a request and gets the whole of its response.
//
// On a redirect to another origin credentials stay behind, and so do all headers with a secret in them: http.Client alone
// would take along those that it does not know.
func (t *Transport) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := bodyOf(request)
	if err != nil {
		return nil, err
	}
	if request.Host != "" && request.Host != request.URL.Host {
		return nil, fmt.Errorf("the Host of a request is that of its URL, and not %s", request.Host)
	}
	given := &outbound.Request{
		Method: request.Method, URL: request.URL.String(), Body: body, TLS: t.TLS, MayRepeat: mayRepeat(request),
	}
	if given.Method == "" {
		given.Method = http.MethodGet
	}
	leaves := leavesOrigin(request)
	if leaves {
		given.TLS = nil
	}
	for _, name := range slices.Sorted(maps.Keys(request.Header)) {
		for _, value := range request.Header[name] {
			if !leaves || !isCredential(name, value) {
				given.Header = append(given.Header, action.Header{Name: name, Value: value})
			}
		}
	}
	got, err := outbound.Send(request.Context(), given)
	if err != nil {
		return nil, err
	}
	return responseOf(got, request), nil
}

func bodyOf(request *http.Request) ([]byte, error) {
	if request.Body == nil || request.Body == http.NoBody {
		return nil, nil
	}
	defer request.Body.Close()
	return io.ReadAll(request.Body)
}

func responseOf(got *outbound.Response, request *http.Request) *http.Response {
	response := &http.Response{
		Status:     fmt.Sprintf("%d %s", got.Status, http.StatusText(got.Status)),
		StatusCode: got.Status,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        make(http.Header, len(got.Header)),
		Body:          io.NopCloser(bytes.NewReader(got.Body)),
		ContentLength: int64(len(got.Body)),
		Request:       request,
	}
	for _, header := range got.Header {
		response.Header.Add(header.Name, header.Value)
	}
	return response
}

// leavesOrigin says whether a request follows a redirect to another origin than the first one's.
func leavesOrigin(request *http.Request) bool {
	first := request
	for first.Response != nil && first.Response.Request != nil {
		first = first.Response.Request
	}
	return origin(first.URL) != origin(request.URL)
}

func origin(of *url.URL) string {
	port := of.Port()
	switch {
	case port != "":
	case of.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return of.Scheme + "://" + strings.ToLower(of.Hostname()) + ":" + port
}

func isCredential(name, value string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Authorization", "Proxy-Authorization", "Cookie":
		return true
	}
	return strings.Contains(value, handle)
}

type repeatKey struct{}

// MayRepeat gives a context for requests of which a repeat does no harm, although their method says nothing of it.
// A request with an Idempotency-Key, as for net/http itself, is one too.
func MayRepeat(ctx context.Context) context.Context {
	return context.WithValue(ctx, repeatKey{}, true)
}

func mayRepeat(request *http.Request) bool {
	said, _ := request.Context().Value(repeatKey{}).(bool)
	return said || request.Header.Get("Idempotency-Key") != "" || answer.MayRepeat(request.Method)
}

// Check is nil where the status is 2xx, else a *action.Failure: what it means for an execution. It then reads and
// closes the body.
func Check(response *http.Response) error {
	if response.StatusCode >= 200 && response.StatusCode < 300 {
		return nil
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, excerptBytesMax))
	if err != nil {
		body = nil
	}
	place, may := "the remote", false
	if response.Request != nil {
		place, may = response.Request.URL.Redacted(), mayRepeat(response.Request)
	}
	return answer.Failure(place, response.StatusCode, response.Header.Get, body, may)
}
