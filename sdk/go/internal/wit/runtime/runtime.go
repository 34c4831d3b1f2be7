//go:build wasip1

// Package runtime gives the generated bindings their memory.
//
// What the service hands over, it writes into memory that it asks for by cabi_realloc. At that moment the
// component may call nothing outside, while Go's allocator may start to collect, and ask for the time. So this
// memory does not come from the heap but from an arena, in pieces taken from behind it; the bindings point into it,
// and whoever calls them copies what he wants to keep and then calls Reset.
package runtime

import (
	"runtime"
	"unsafe"
)

const (
	// The least that is taken at once. Most calls need less.
	pieceBytesMin = 64 << 10
	// Each piece is at least twice the one before, so that these are more than the address space has.
	piecesMax = 32
)

type piece struct {
	start, size uintptr
}

var (
	pieces [piecesMax]piece
	// How many there are, which one is being filled, and how far.
	taken, current int
	used           uintptr
)

// Go's own way to get memory on this platform, so that the heap knows of it.
//
//go:linkname sbrk runtime.sbrk
func sbrk(bytes uintptr) unsafe.Pointer

//go:wasmexport cabi_realloc
func realloc(old unsafe.Pointer, oldSize, align, size uintptr) unsafe.Pointer {
	place := take(align, size)
	if oldSize > 0 {
		copy(unsafe.Slice((*byte)(place), size), unsafe.Slice((*byte)(old), oldSize))
	}
	return place
}

func take(align, size uintptr) unsafe.Pointer {
	for ; current < taken; current, used = current+1, 0 {
		start := (used + align - 1) &^ (align - 1)
		if start+size <= pieces[current].size {
			used = start + size
			return unsafe.Pointer(pieces[current].start + start)
		}
	}
	bytes := max(uintptr(pieceBytesMin), size)
	if taken > 0 {
		bytes = max(bytes, 2*pieces[taken-1].size)
	}
	start := sbrk(bytes)
	if start == nil && bytes > size {
		// The memory is nearly full: no more than has to be.
		bytes = size
		start = sbrk(bytes)
	}
	if start == nil || taken == piecesMax {
		panic("out of memory")
	}
	pieces[taken] = piece{uintptr(start), bytes}
	taken++
	used = size
	return start
}

// Reset takes back all that the service handed over so far.
func Reset() {
	current, used = 0, 0
}

// Unpin is called by the bindings when they have read what an export was given. Reset is for that.
func Unpin() {}

// Allocate gives the bindings memory of the heap that stays where it is until the pinner lets go of it.
func Allocate(pinner *runtime.Pinner, size, align uintptr) unsafe.Pointer {
	if size == 0 {
		return nil
	}
	// Go aligns blocks of eight bytes by eight, and no type of the contract wants more.
	memory := unsafe.Pointer(unsafe.SliceData(make([]uint64, (size+7)/8)))
	pinner.Pin(memory)
	return memory
}

// Handle of a resource.
type Handle struct {
	value int32
}

// MakeHandle takes a handle over.
func MakeHandle(value int32) *Handle {
	return &Handle{value}
}

// Use gives the handle of something that is still there.
func (h *Handle) Use() int32 {
	if h.value == 0 {
		panic("used after it was closed")
	}
	return h.value
}

// Set puts in a handle where there is none.
func (h *Handle) Set(value int32) {
	if h.value != 0 {
		panic("handle already set")
	}
	h.value = value
}

// Take gives the handle away.
func (h *Handle) Take() int32 {
	value := h.Use()
	h.value = 0
	return value
}

// TakeOrNil gives the handle away, or 0.
func (h *Handle) TakeOrNil() int32 {
	value := h.value
	h.value = 0
	return value
}
