// Package actionnet has the way out as a net.Conn, for libraries that dial by a function.
package actionnet

import (
	"context"
	"net"

	"julee/action/outbound"
)

// Conn is a net.Conn.
type Conn struct {
	*outbound.Conn
	remote address
}

// DialContext connects to "host:port". Its form is that of net.Dialer's method; the network has to be tcp.
func DialContext(ctx context.Context, network, to string) (net.Conn, error) {
	return dial(ctx, network, to, nil)
}

// DialTLSContext is DialContext with TLS from the start, by the service.
func DialTLSContext(ctx context.Context, network, to string) (net.Conn, error) {
	return dial(ctx, network, to, &outbound.TLS{})
}

func dial(ctx context.Context, network, to string, tls *outbound.TLS) (net.Conn, error) {
	if network != "tcp" && network != "tcp4" && network != "tcp6" {
		return nil, net.UnknownNetworkError(network)
	}
	conn, err := outbound.Dial(ctx, to, tls)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: address(to), Err: err}
	}
	return &Conn{conn, address(to)}, nil
}

// LocalAddr is not known.
func (c *Conn) LocalAddr() net.Addr {
	return address("")
}

// RemoteAddr is what was dialled, by its name.
func (c *Conn) RemoteAddr() net.Addr {
	return c.remote
}

type address string

func (address) Network() string {
	return "tcp"
}

func (a address) String() string {
	return string(a)
}
