package component

import (
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
)

var errCut = errors.New("it ends too early")

// names of what a module imports, "module name", and exports.
type names struct {
	imports, exports []string
}

// section of a module or component.
type section struct {
	number  byte
	content []byte
	whole   []byte
}

// sections of a module or component, whose first eight bytes were looked at.
func sections(bytes []byte) iter.Seq2[section, error] {
	return func(yield func(section, error) bool) {
		for rest := bytes[8:]; len(rest) > 0; {
			r := reader{rest: rest[1:]}
			content := r.take(r.number())
			if r.cut {
				yield(section{}, errCut)
				return
			}
			whole := rest[:len(rest)-len(r.rest)]
			if !yield(section{rest[0], content, whole}, nil) {
				return
			}
			rest = r.rest
		}
	}
}

// read says what a module imports and exports.
func read(module []byte) (names, error) {
	var found names
	if !strings.HasPrefix(string(module), moduleMagic) {
		return found, errors.New("it is no module")
	}
	for section, err := range sections(module) {
		if err != nil {
			return found, err
		}
		r := reader{rest: section.content}
		switch section.number {
		case importSection:
			for count := r.number(); count > 0 && !r.cut; count-- {
				imported, err := r.imported()
				if err != nil {
					return found, err
				}
				found.imports = append(found.imports, imported.module+" "+imported.name)
			}
		case exportSection:
			for count := r.number(); count > 0 && !r.cut; count-- {
				found.exports = append(found.exports, r.text())
				r.byte()
				r.number()
			}
		}
		if r.cut {
			return found, errCut
		}
	}
	return found, nil
}

// numbered gives a module whose imports have different names: the second "fd_write" becomes "fd_write 2". Packages
// of Go's library declare some of them each for itself, which a component does not allow; the shell has each of them
// under these names too.
func numbered(module []byte) ([]byte, error) {
	if !strings.HasPrefix(string(module), moduleMagic) {
		return nil, errors.New("it is no module")
	}
	changed := []byte(moduleMagic)
	for section, err := range sections(module) {
		if err != nil {
			return nil, err
		}
		if section.number != importSection {
			changed = append(changed, section.whole...)
			continue
		}
		r := reader{rest: section.content}
		count := r.number()
		content := appendNumber(nil, count)
		times := map[string]int{}
		for ; count > 0 && !r.cut; count-- {
			imported, err := r.imported()
			if err != nil {
				return nil, err
			}
			key := imported.module + " " + imported.name
			times[key]++
			if times[key] > 1 {
				imported.name += " " + strconv.Itoa(times[key])
			}
			content = appendText(content, imported.module)
			content = appendText(content, imported.name)
			content = append(content, 0)
			content = appendNumber(content, imported.kind)
		}
		if r.cut {
			return nil, errCut
		}
		changed = appendSection(changed, importSection, content)
	}
	return changed, nil
}

// imported is a function that a module imports, and the number of its type.
type imported struct {
	module, name string
	kind         int
}

// reader of WebAssembly's binary format. What is not there reads as zero.
type reader struct {
	rest []byte
	cut  bool
}

func (r *reader) take(count int) []byte {
	if count > len(r.rest) {
		r.cut, r.rest = true, nil
		return nil
	}
	taken := r.rest[:count]
	r.rest = r.rest[count:]
	return taken
}

func (r *reader) byte() byte {
	if taken := r.take(1); taken != nil {
		return taken[0]
	}
	return 0
}

// number in LEB128, of 32 bits.
func (r *reader) number() int {
	number := 0
	for shift := 0; shift < 35; shift += 7 {
		part := r.byte()
		number |= int(part&0x7f) << shift
		if part < 0x80 {
			return number
		}
	}
	r.cut = true
	return 0
}

func (r *reader) text() string {
	return string(r.take(r.number()))
}

func (r *reader) imported() (imported, error) {
	found := imported{module: r.text(), name: r.text()}
	if kind := r.byte(); kind != 0 {
		return found, fmt.Errorf("its import %s %s is no function", found.module, found.name)
	}
	found.kind = r.number()
	return found, nil
}

func appendSection(bytes []byte, number byte, content []byte) []byte {
	return append(appendNumber(append(bytes, number), len(content)), content...)
}

func appendText(bytes []byte, text string) []byte {
	return append(appendNumber(bytes, len(text)), text...)
}

// appendNumber appends LEB128.
func appendNumber(bytes []byte, number int) []byte {
	for number >= 0x80 {
		bytes = append(bytes, byte(number)|0x80)
		number >>= 7
	}
	return append(bytes, byte(number))
}
