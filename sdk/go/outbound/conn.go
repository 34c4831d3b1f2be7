package outbound

import (
	"context"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"julee/action/internal/host"
)

// One read asks for no more than this: what it gives is copied.
const readBytesMax = 1 << 20

// Conn is a TCP connection, with TLS by the service.
type Conn struct {
	// What is said over it may be said again without harm: then no answer means to try again, and not that it is in
	// doubt.
	MayRepeat bool

	own         host.Connection
	read, write time.Time
	// The service was given a time, which stands until it is given another.
	limited, closed bool
}

// Dial connects to "host:port", with TLS from the start where tls is not nil. The context's deadline is that of what is
// read and written too, until SetDeadline says otherwise.
func Dial(ctx context.Context, address string, tls *TLS) (*Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	name, port, is := split(address)
	if !is {
		return nil, &Error{Reason: BadRequest, Detail: address + " is not host:port"}
	}
	own, err := host.Current.Connect(name, port, tls.forHost())
	if err != nil {
		return nil, errorOf(err, true)
	}
	conn := &Conn{own: own}
	if deadline, has := ctx.Deadline(); has {
		conn.read, conn.write = deadline, deadline
	}
	return conn, nil
}

// split takes "host:port" or "[address]:port" apart.
func split(address string) (string, uint16, bool) {
	colon := strings.LastIndexByte(address, ':')
	if colon < 1 {
		return "", 0, false
	}
	name := address[:colon]
	if inner, is := strings.CutPrefix(name, "["); is {
		if name, is = strings.CutSuffix(inner, "]"); !is {
			return "", 0, false
		}
	} else if strings.Contains(name, ":") {
		return "", 0, false
	}
	port, err := strconv.ParseUint(address[colon+1:], 10, 16)
	return name, uint16(port), err == nil && name != ""
}

// Read waits for at least one byte. io.EOF: the remote has closed its side. After a timeout nothing is lost, and it
// may be called again.
func (c *Conn) Read(to []byte) (int, error) {
	if len(to) == 0 {
		return 0, nil
	}
	if err := c.within(c.read); err != nil {
		return 0, err
	}
	got, err := c.own.Read(uint32(min(len(to), readBytesMax)))
	if err != nil {
		return 0, errorOf(err, c.MayRepeat)
	}
	if len(got) == 0 {
		return 0, io.EOF
	}
	return copy(to, got), nil
}

// Write returns when all bytes are handed to the system. After an error part of them may have gone, and the
// connection is closed.
func (c *Conn) Write(bytes []byte) (int, error) {
	if err := c.within(c.write); err != nil {
		return 0, err
	}
	if err := c.own.Write(bytes); err != nil {
		return 0, errorOf(err, c.MayRepeat)
	}
	return len(bytes), nil
}

// StartTLS is for STARTTLS and its like. It gives the ALPN protocol, where one was agreed on. After an error the
// connection is closed.
func (c *Conn) StartTLS(tls *TLS) (alpn string, err error) {
	if err := c.within(c.read); err != nil {
		return "", err
	}
	alpn, err = c.own.StartTLS(tls.forHost())
	return alpn, errorOf(err, true)
}

// SetDeadline is for each further read and write. Zero is none but the attempt's.
func (c *Conn) SetDeadline(deadline time.Time) error {
	c.read, c.write = deadline, deadline
	return nil
}

// SetReadDeadline is SetDeadline for reads alone.
func (c *Conn) SetReadDeadline(deadline time.Time) error {
	c.read = deadline
	return nil
}

// SetWriteDeadline is SetDeadline for writes alone.
func (c *Conn) SetWriteDeadline(deadline time.Time) error {
	c.write = deadline
	return nil
}

// Close closes it. A second time changes nothing.
func (c *Conn) Close() error {
	if !c.closed {
		c.closed = true
		c.own.Drop()
	}
	return nil
}

// within gives the service what is left until a deadline.
func (c *Conn) within(deadline time.Time) error {
	if c.closed {
		return &Error{Reason: Closed, Detail: "by the protocol itself", MayRepeat: c.MayRepeat}
	}
	if deadline.IsZero() {
		if c.limited {
			c.own.SetTimeout(math.MaxUint32)
			c.limited = false
		}
		return nil
	}
	left := time.Until(deadline).Milliseconds()
	if left <= 0 {
		return &Error{Reason: TimedOut, MayRepeat: c.MayRepeat}
	}
	c.own.SetTimeout(uint32(min(left, math.MaxUint32)))
	c.limited = true
	return nil
}
