package action

import (
	"errors"
	"fmt"

	"julee/action/internal/host"
)

// Secret is a property of a config that may be a secret: its handle, or plain text where the action gives that.
// Put it where the value belongs in HTTP header values, query or basic authentication, and the service puts the value in
// its place. In the schema it is writeOnly, without which the service refuses secrets there.
//
// Its text is what string(secret) gives; fmt shows none of it, since it may be plain and what is printed ends in logs.
type Secret string

// String tells nothing.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "(secret)"
}

// GoString tells nothing.
func (s Secret) GoString() string {
	return "action.Secret(…)"
}

// Reveal gives the value, for protocols that must speak it themselves. The action has to allow it; where it does not,
// or where this is no secret's handle, the error means InvalidConfig.
func (s Secret) Reveal() ([]byte, error) {
	value, err := host.Current.Reveal(string(s))
	return value, secretError(err)
}

// KeyEncoding says how a secret holds a key.
type KeyEncoding bool

// How a secret holds a key.
const (
	// RawKey: the secret's bytes are the key.
	RawKey KeyEncoding = false
	// Base64Key: the secret is base64 of the key, after whsec_ where it starts so.
	Base64Key KeyEncoding = true
)

// HMACSHA256 is keyed with the secret, without seeing it. The prefix goes before the key (AWS4 for SigV4), and is
// empty for most.
func (s Secret) HMACSHA256(encoding KeyEncoding, prefix string, message []byte) ([]byte, error) {
	sum, err := host.Current.HMACSHA256(string(s), bool(encoding), prefix, message)
	return sum, secretError(err)
}

func secretError(err error) error {
	if errors.Is(err, host.ErrNotGranted) || errors.Is(err, host.ErrUnknownHandle) {
		return Fail(InvalidConfig, "%w", err)
	}
	if err != nil {
		return fmt.Errorf("secret: %w", err)
	}
	return nil
}
