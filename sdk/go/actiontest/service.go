// Package actiontest stands in for the service while a protocol's own tests run on this machine.
//
//	service := actiontest.New(t)
//	service.Answer = func(request *actiontest.Request) (*actiontest.Response, error) {
//		return &actiontest.Response{Status: 200, Body: []byte("…")}, nil
//	}
//	outcome, err := actiontest.Execute(Peek{}, `{"url": "https://example.com/"}`, action.Payload{})
//
// It keeps what is captured, logged and set, as the service would, and lets nothing out.
package actiontest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"testing"

	"julee/action"
	"julee/action/internal/host"
)

// Request over HTTP that a protocol sent.
type Request struct {
	Method, URL string
	Header      []action.Header
	Body        []byte
	// What the request may take; 0 where nothing was said.
	TimeoutMS int
}

// Get is the first header of this name, in any case.
func (r *Request) Get(name string) string {
	for _, header := range r.Header {
		if strings.EqualFold(header.Name, name) {
			return header.Value
		}
	}
	return ""
}

// Response that a test gives.
type Response struct {
	Status int
	Header []action.Header
	Body   []byte
}

// Line of the log.
type Line struct {
	Level   action.Level
	Message string
}

// Peer is the other side of a TCP connection.
type Peer interface {
	// Read gives what the protocol gets; nothing is the end.
	Read() ([]byte, error)
	Write(bytes []byte) error
}

// Service answers requests, and remembers what was done.
type Service struct {
	// Answer answers requests; Refuse makes an error of the way out. Nil: nothing is granted.
	Answer func(*Request) (*Response, error)
	// Connect answers connections. Nil: nothing is granted.
	Connect func(address string) (Peer, error)
	// Secrets by their handles.
	Secrets map[string][]byte
	// Without it nothing can be captured or kept.
	Captures bool

	// What was done.
	Requests []*Request
	Items    []action.Item
	State    map[string][]byte
	Log      []Line
	Progress []string

	turn sync.Mutex
}

// New is the service until the end of the test.
func New(t testing.TB) *Service {
	service := &Service{Captures: true, Secrets: map[string][]byte{}, State: map[string][]byte{}}
	before := host.Current
	host.Current = inside{service}
	t.Cleanup(func() { host.Current = before })
	return service
}

// Refuse is an error for Answer and Connect, by the contract's word: "denied", "name-unknown", "connect-failed",
// "tls-failed", "timed-out", "closed", "too-large", "bad-request", "bad-response".
func Refuse(word, detail string) error {
	words := []string{
		"denied", "name-unknown", "connect-failed", "tls-failed", "timed-out", "closed", "too-large", "bad-request", "bad-response",
	}
	for number, known := range words {
		if word == known {
			return &host.OutboundError{Word: host.OutboundWord(number), Detail: detail}
		}
	}
	panic(fmt.Sprintf("actiontest: the contract has no word %q", word))
}

// inside is the service, as the SDK calls it.
type inside struct{ *Service }

func (s inside) Log(level host.Level, message string) {
	s.turn.Lock()
	defer s.turn.Unlock()
	s.Service.Log = append(s.Service.Log, Line{action.Level(level), message})
}

func (s inside) Progress(completed uint32, total *uint32, message string) {
	s.turn.Lock()
	defer s.turn.Unlock()
	of := "?"
	if total != nil {
		of = fmt.Sprint(*total)
	}
	s.Service.Progress = append(s.Service.Progress, fmt.Sprintf("%d/%s %s", completed, of, message))
}

func (s inside) Emit(item host.Item) error {
	s.turn.Lock()
	defer s.turn.Unlock()
	if err := s.captures(); err != nil {
		return err
	}
	given := action.Item{Kind: item.Kind, Content: action.Payload(item.Content)}
	if item.Key != nil {
		given.Key = *item.Key
		for _, other := range s.Items {
			if other.Key == given.Key {
				return nil
			}
		}
	}
	s.Items = append(s.Items, given)
	return nil
}

func (s inside) State(key string) ([]byte, error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	return s.Service.State[key], s.captures()
}

func (s inside) SetState(key string, value []byte) error {
	s.turn.Lock()
	defer s.turn.Unlock()
	if err := s.captures(); err != nil {
		return err
	}
	s.Service.State[key] = append([]byte{}, value...)
	return nil
}

func (s inside) DeleteState(key string) error {
	s.turn.Lock()
	defer s.turn.Unlock()
	delete(s.Service.State, key)
	return s.captures()
}

func (s inside) Checkpoint() (uint32, error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	return uint32(len(s.Items)), s.captures()
}

func (s inside) captures() error {
	if s.Captures {
		return nil
	}
	return &host.CaptureError{Detail: "capturing is not available"}
}

func (s inside) Reveal(handle string) ([]byte, error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	if value, has := s.Secrets[handle]; has {
		return append([]byte{}, value...), nil
	}
	return nil, host.ErrUnknownHandle
}

func (s inside) HMACSHA256(handle string, inBase64 bool, prefix string, message []byte) ([]byte, error) {
	key, err := s.Reveal(handle)
	if err != nil {
		return nil, err
	}
	if inBase64 {
		if key, err = base64.StdEncoding.DecodeString(strings.TrimPrefix(string(key), "whsec_")); err != nil {
			return nil, host.ErrUnknownHandle
		}
	}
	sum := hmac.New(sha256.New, append([]byte(prefix), key...))
	sum.Write(message)
	return sum.Sum(nil), nil
}

func (s inside) Send(given *host.Request) (*host.Response, error) {
	request := &Request{Method: given.Method, URL: given.URL, Body: given.Body, TimeoutMS: int(given.TimeoutMS)}
	for _, header := range given.Headers {
		request.Header = append(request.Header, action.Header{Name: header.Name, Value: string(header.Value)})
	}
	s.turn.Lock()
	s.Requests = append(s.Requests, request)
	s.turn.Unlock()
	if s.Answer == nil {
		return nil, Refuse("denied", "no test answers")
	}
	answer, err := s.Answer(request)
	if err != nil {
		return nil, err
	}
	response := &host.Response{Status: uint16(answer.Status), Body: answer.Body}
	for _, header := range answer.Header {
		response.Headers = append(response.Headers, host.Header{Name: header.Name, Value: []byte(header.Value)})
	}
	return response, nil
}

func (s inside) Connect(name string, port uint16, _ *host.TLS) (host.Connection, error) {
	if s.Service.Connect == nil {
		return nil, Refuse("denied", "no test answers")
	}
	peer, err := s.Service.Connect(fmt.Sprintf("%s:%d", name, port))
	if err != nil {
		return nil, err
	}
	return &connection{peer: peer}, nil
}

type connection struct {
	peer Peer
	rest []byte
}

func (c *connection) Read(bytesMax uint32) ([]byte, error) {
	if len(c.rest) == 0 {
		got, err := c.peer.Read()
		if err != nil {
			return nil, err
		}
		c.rest = got
	}
	count := min(int(bytesMax), len(c.rest))
	got := c.rest[:count]
	c.rest = c.rest[count:]
	return got, nil
}

func (c *connection) Write(bytes []byte) error { return c.peer.Write(bytes) }

func (c *connection) StartTLS(*host.TLS) (string, error) { return "", nil }

func (c *connection) SetTimeout(uint32) {}

func (c *connection) Drop() {}
