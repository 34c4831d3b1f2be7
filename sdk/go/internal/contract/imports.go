//go:build wasip1

package contract

import (
	"bytes"
	"strconv"
	"strings"
	"sync"

	"julee/action/internal/bindings/julee_action_capture"
	"julee/action/internal/bindings/julee_action_journal"
	"julee/action/internal/bindings/julee_action_outbound"
	"julee/action/internal/bindings/julee_action_secrets"
	"julee/action/internal/host"
	"julee/action/internal/wit/runtime"
	witTypes "julee/action/internal/wit/types"
)

func init() {
	host.Current = service{}
}

// service is the one around the component.
//
// Each of its functions holds the turn from the call until everything was copied: another goroutine could run
// in between, and its call would be answered into the same memory.
type service struct{}

var turn sync.Mutex

func begin() { turn.Lock() }

// end gives back the memory that the service wrote to.
func end() {
	runtime.Reset()
	turn.Unlock()
}

func (service) Log(level host.Level, message string) {
	begin()
	defer end()
	julee_action_journal.Log(uint8(level), valid(message))
}

func (service) Progress(completed uint32, total *uint32, message string) {
	begin()
	defer end()
	of := witTypes.None[uint32]()
	if total != nil {
		of = witTypes.Some(*total)
	}
	julee_action_journal.Progress(completed, of, valid(message))
}

func (service) Emit(item host.Item) error {
	begin()
	defer end()
	given := julee_action_capture.Item{Kind: valid(item.Kind), Content: payloadOf(item.Content)}
	if item.Key != nil {
		given.Key = witTypes.Some(valid(*item.Key))
	}
	return captured(julee_action_capture.Emit(given))
}

func (service) State(key string) ([]byte, error) {
	begin()
	defer end()
	result := julee_action_capture.GetState(valid(key))
	if result.Tag() == witTypes.ResultErr {
		return nil, captureError(result.Err())
	}
	found := result.Ok()
	if found.Tag() == witTypes.OptionNone {
		return nil, nil
	}
	return keep(found.Some()), nil
}

func (service) SetState(key string, value []byte) error {
	begin()
	defer end()
	return captured(julee_action_capture.SetState(valid(key), value))
}

func (service) DeleteState(key string) error {
	begin()
	defer end()
	return captured(julee_action_capture.DeleteState(valid(key)))
}

func (service) Checkpoint() (uint32, error) {
	begin()
	defer end()
	result := julee_action_capture.Checkpoint()
	if result.Tag() == witTypes.ResultErr {
		return 0, captureError(result.Err())
	}
	return result.Ok(), nil
}

func (service) Reveal(handle string) ([]byte, error) {
	begin()
	defer end()
	return secret(julee_action_secrets.Reveal(valid(handle)))
}

func (service) HMACSHA256(handle string, base64 bool, prefix string, message []byte) ([]byte, error) {
	begin()
	defer end()
	encoding := julee_action_secrets.KeyEncoding_Raw
	if base64 {
		encoding = julee_action_secrets.KeyEncoding_Base64
	}
	return secret(julee_action_secrets.HmacSha256(valid(handle), encoding, valid(prefix), message))
}

func (service) Send(request *host.Request) (*host.Response, error) {
	begin()
	defer end()
	given := julee_action_outbound.HttpRequest{
		Method: valid(request.Method), Url: valid(request.URL), Headers: headersOf(request.Headers), Tls: tlsOf(request.TLS),
	}
	if request.Body != nil {
		given.Body = witTypes.Some(request.Body)
	}
	if request.TimeoutMS > 0 {
		given.TimeoutMs = witTypes.Some(request.TimeoutMS)
	}
	result := julee_action_outbound.Send(given)
	if result.Tag() == witTypes.ResultErr {
		return nil, outboundError(result.Err())
	}
	response := result.Ok()
	return &host.Response{Status: response.Status, Headers: keepHeaders(response.Headers), Body: keep(response.Body)}, nil
}

func (service) Connect(name string, port uint16, tls *host.TLS) (host.Connection, error) {
	begin()
	defer end()
	result := julee_action_outbound.Connect(valid(name), port, tlsOf(tls))
	if result.Tag() == witTypes.ResultErr {
		return nil, outboundError(result.Err())
	}
	return &connection{result.Ok()}, nil
}

type connection struct {
	own *julee_action_outbound.Connection
}

func (c *connection) Read(bytesMax uint32) ([]byte, error) {
	begin()
	defer end()
	result := c.own.Read(bytesMax)
	if result.Tag() == witTypes.ResultErr {
		return nil, outboundError(result.Err())
	}
	return keep(result.Ok()), nil
}

func (c *connection) Write(bytes []byte) error {
	begin()
	defer end()
	if result := c.own.Write(bytes); result.Tag() == witTypes.ResultErr {
		return outboundError(result.Err())
	}
	return nil
}

func (c *connection) StartTLS(tls *host.TLS) (string, error) {
	begin()
	defer end()
	options := tlsOf(&host.TLS{})
	if tls != nil {
		options = tlsOf(tls)
	}
	result := c.own.StartTls(options.Some())
	if result.Tag() == witTypes.ResultErr {
		return "", outboundError(result.Err())
	}
	if alpn := result.Ok(); alpn.Tag() == witTypes.OptionSome {
		return strings.Clone(alpn.Some()), nil
	}
	return "", nil
}

func (c *connection) SetTimeout(milliseconds uint32) {
	begin()
	defer end()
	c.own.SetTimeout(milliseconds)
}

func (c *connection) Drop() {
	begin()
	defer end()
	c.own.Drop()
}

// keep copies bytes that the service wrote. What is there and empty is not nil.
func keep(data []byte) []byte {
	return append(make([]byte, 0, len(data)), data...)
}

func tlsOf(tls *host.TLS) witTypes.Option[julee_action_outbound.TlsOptions] {
	if tls == nil {
		return witTypes.None[julee_action_outbound.TlsOptions]()
	}
	options := julee_action_outbound.TlsOptions{
		ServerName: option(tls.ServerName), ExtraRoots: option(tls.ExtraRoots), Alpn: tls.ALPN,
	}
	if tls.ClientChain != "" {
		options.ClientIdentity = witTypes.Some(julee_action_outbound.ClientIdentity{Chain: valid(tls.ClientChain), Key: valid(tls.ClientKey)})
	}
	return witTypes.Some(options)
}

func outboundError(given julee_action_outbound.OutboundError) error {
	detail := ""
	switch given.Tag() {
	case julee_action_outbound.OutboundError_Denied:
		detail = given.Denied()
	case julee_action_outbound.OutboundError_NameUnknown:
		detail = given.NameUnknown()
	case julee_action_outbound.OutboundError_ConnectFailed:
		detail = given.ConnectFailed()
	case julee_action_outbound.OutboundError_TlsFailed:
		detail = given.TlsFailed()
	case julee_action_outbound.OutboundError_TooLarge:
		detail = strconv.FormatUint(uint64(given.TooLarge()), 10)
	case julee_action_outbound.OutboundError_BadRequest:
		detail = given.BadRequest()
	case julee_action_outbound.OutboundError_BadResponse:
		detail = given.BadResponse()
	}
	return &host.OutboundError{Word: host.OutboundWord(given.Tag()), Detail: strings.Clone(detail)}
}

func captured(result witTypes.Result[witTypes.Unit, julee_action_capture.CaptureError]) error {
	if result.Tag() == witTypes.ResultErr {
		return captureError(result.Err())
	}
	return nil
}

func captureError(given julee_action_capture.CaptureError) error {
	if given.Tag() == julee_action_capture.CaptureError_TooLarge {
		return &host.CaptureError{TooLarge: true, Detail: strings.Clone(given.TooLarge())}
	}
	return &host.CaptureError{Detail: strings.Clone(given.Unavailable())}
}

func secret(result witTypes.Result[[]uint8, julee_action_secrets.SecretError]) ([]byte, error) {
	if result.Tag() == witTypes.ResultOk {
		return bytes.Clone(result.Ok()), nil
	}
	if result.Err() == julee_action_secrets.SecretError_NotGranted {
		return nil, host.ErrNotGranted
	}
	return nil, host.ErrUnknownHandle
}
