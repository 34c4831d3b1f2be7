// Package wit_types has what the generated bindings make of WIT's own types.
package wit_types

const (
	OptionNone = 0
	OptionSome = 1
	ResultOk   = 0
	ResultErr  = 1
)

// Unit is the value of a result that has none.
type Unit struct{}

// Option is a value that may be absent.
type Option[T any] struct {
	tag   uint8
	value T
}

func None[T any]() Option[T] {
	return Option[T]{}
}

func Some[T any](value T) Option[T] {
	return Option[T]{OptionSome, value}
}

func (o Option[T]) Tag() uint8 {
	return o.tag
}

func (o Option[T]) Some() T {
	return o.value
}

// Result is a value or an error.
type Result[T, E any] struct {
	tag uint8
	ok  T
	err E
}

func Ok[T, E any](value T) Result[T, E] {
	return Result[T, E]{tag: ResultOk, ok: value}
}

func Err[T, E any](err E) Result[T, E] {
	return Result[T, E]{tag: ResultErr, err: err}
}

func (r Result[T, E]) Tag() uint8 {
	return r.tag
}

func (r Result[T, E]) Ok() T {
	return r.ok
}

func (r Result[T, E]) Err() E {
	return r.err
}
