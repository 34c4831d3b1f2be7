// Package host is what the service offers a protocol, in Go's words: the service itself where a component runs,
// package actiontest where tests do.
package host

import (
	"errors"
	"fmt"
)

// Current is who answers. A component sets it before anything is called.
var Current Host = absent{}

// Host is the service.
type Host interface {
	Log(level Level, message string)
	// Total is nil where nobody knows.
	Progress(completed uint32, total *uint32, message string)

	Emit(item Item) error
	// The value is nil where there is none.
	State(key string) ([]byte, error)
	SetState(key string, value []byte) error
	DeleteState(key string) error
	Checkpoint() (uint32, error)

	Reveal(handle string) ([]byte, error)
	HMACSHA256(handle string, base64 bool, prefix string, message []byte) ([]byte, error)

	Send(request *Request) (*Response, error)
	Connect(host string, port uint16, tls *TLS) (Connection, error)
}

// Connection is a TCP connection.
type Connection interface {
	Read(bytesMax uint32) ([]byte, error)
	Write(bytes []byte) error
	StartTLS(tls *TLS) (alpn string, err error)
	SetTimeout(milliseconds uint32)
	Drop()
}

// Level of a line of the log.
type Level uint8

// The levels, as the contract numbers them.
const (
	Debug Level = iota
	Info
	Warn
	Error
)

// Payload is bytes with their media type.
type Payload struct {
	ContentType string
	Data        []byte
}

// Item is a piece of information from outside.
type Item struct {
	// Nil where it has none.
	Key     *string
	Kind    string
	Content Payload
}

// Header of HTTP.
type Header struct {
	Name  string
	Value []byte
}

// Request over HTTP.
type Request struct {
	Method, URL string
	Headers     []Header
	// Nil where there is none.
	Body []byte
	// 0: the service's default.
	TimeoutMS uint32
	// Nil: the service's default.
	TLS *TLS
}

// Response over HTTP, the whole of it.
type Response struct {
	Status  uint16
	Headers []Header
	Body    []byte
}

// TLS says what is not as usual. What is empty is.
type TLS struct {
	ServerName string
	// PEM, beside the well-known roots.
	ExtraRoots string
	// PEM, leaf first.
	ClientChain string
	// Handle of the secret that holds the key (PEM).
	ClientKey string
	ALPN      []string
}

// OutboundWord says why there was no answer, in the contract's words.
type OutboundWord uint8

// The words, as the contract numbers them.
const (
	Denied OutboundWord = iota
	NameUnknown
	ConnectFailed
	TLSFailed
	TimedOut
	Closed
	TooLarge
	BadRequest
	BadResponse
)

// OutboundError is no answer, and why.
type OutboundError struct {
	Word   OutboundWord
	Detail string
}

func (e *OutboundError) Error() string {
	return fmt.Sprintf("outbound error %d: %s", e.Word, e.Detail)
}

// CaptureError is something that was not taken.
type CaptureError struct {
	TooLarge bool
	Detail   string
}

func (e *CaptureError) Error() string {
	return e.Detail
}

// What can be wrong with the handle of a secret.
var (
	ErrUnknownHandle = errors.New("no secret has this handle")
	ErrNotGranted    = errors.New("the action does not let its protocol see this secret; see grants.reveal")
)

// absent is there where no service is.
type absent struct{}

const nobody = "there is no service here: package actiontest stands in for it"

func (absent) Log(Level, string) {}

func (absent) Progress(uint32, *uint32, string) {}

func (absent) Emit(Item) error { return &CaptureError{Detail: nobody} }

func (absent) State(string) ([]byte, error) { return nil, &CaptureError{Detail: nobody} }

func (absent) SetState(string, []byte) error { return &CaptureError{Detail: nobody} }

func (absent) DeleteState(string) error { return &CaptureError{Detail: nobody} }

func (absent) Checkpoint() (uint32, error) { return 0, &CaptureError{Detail: nobody} }

func (absent) Reveal(string) ([]byte, error) { return nil, ErrUnknownHandle }

func (absent) HMACSHA256(string, bool, string, []byte) ([]byte, error) { return nil, ErrUnknownHandle }

func (absent) Send(*Request) (*Response, error) { return nil, &OutboundError{Denied, nobody} }

func (absent) Connect(string, uint16, *TLS) (Connection, error) {
	return nil, &OutboundError{Denied, nobody}
}
