// Package component makes a component of what Go builds for WebAssembly.
//
// Go knows the module, the form that components are made of, and not the component. What goes around a module is
// the same for every protocol: the contract's types, the adapter between Go's runtime and WASI 0.2, and how they are
// wired. So it was made once, by wit-component around a module that does nothing, and stands here as a
// shell for each of the contract's two worlds; New puts a protocol's module in that one's place. An author needs no other
// tool than Go for that. scripts/generate-go-bindings.sh of the service makes the shells anew.
package component

import (
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
)

var (
	//go:embed action-protocol.base64
	plain string
	//go:embed action-protocol-reconciling.base64
	reconciling string
)

// Reconciles is exported by the module of a protocol that can reconcile.
const Reconciles = "action-protocol-reconciles"

// What a module exports that can be a protocol.
const describe = "julee:action/protocol-api@0.1.0#describe"

// The first eight bytes.
const (
	moduleMagic    = "\x00asm\x01\x00\x00\x00"
	componentMagic = "\x00asm\x0d\x00\x01\x00"
)

// Numbers of sections: the first two of a module, the last of a component.
const (
	importSection = 2
	exportSection = 7
	moduleSection = 1
)

// New makes a component of a protocol's module.
func New(module []byte) ([]byte, error) {
	module, err := numbered(module)
	if err != nil {
		return nil, fmt.Errorf("what Go built: %w", err)
	}
	own, err := read(module)
	if err != nil {
		return nil, fmt.Errorf("what Go built: %w", err)
	}
	if !slices.Contains(own.exports, describe) {
		return nil, errors.New("this program exports no protocol: it has to call action.Export")
	}
	text := plain
	if slices.Contains(own.exports, Reconciles) {
		text = reconciling
	}
	shell, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(text, "\n", ""))
	if err != nil {
		return nil, fmt.Errorf("the shell: %w", err)
	}
	return put(module, own, shell)
}

// put replaces the module in the shell that has the place of a protocol's.
func put(module []byte, own names, shell []byte) ([]byte, error) {
	if !strings.HasPrefix(string(shell), componentMagic) {
		return nil, errors.New("the shell is no component")
	}
	component := []byte(componentMagic)
	found := false
	for section, err := range sections(shell) {
		if err != nil {
			return nil, fmt.Errorf("the shell: %w", err)
		}
		if section.number != moduleSection || found {
			component = append(component, section.whole...)
			continue
		}
		there, err := read(section.content)
		if err != nil {
			return nil, fmt.Errorf("the shell: %w", err)
		}
		if !slices.Contains(there.exports, describe) {
			component = append(component, section.whole...)
			continue
		}
		if err := fits(own, there); err != nil {
			return nil, err
		}
		component = appendSection(component, moduleSection, module)
		found = true
	}
	if !found {
		return nil, errors.New("the shell has no place for a module")
	}
	return component, nil
}

// fits says what a module asks for that nothing gives it, or lacks.
func fits(own, there names) error {
	var wrong []string
	for _, name := range own.imports {
		if !slices.Contains(there.imports, name) {
			wrong = append(wrong, fmt.Sprintf("it imports %s, which a protocol cannot have", name))
		}
	}
	for _, name := range there.exports {
		if !slices.Contains(own.exports, name) {
			wrong = append(wrong, "it does not export "+name)
		}
	}
	if wrong != nil {
		return errors.New("this program is no protocol: " + strings.Join(wrong, "; "))
	}
	return nil
}
