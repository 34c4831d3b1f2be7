// Command component builds a protocol: the component that `action-service` takes.
//
//	go tool component -o build/greet.wasm [package]
//
// It calls `go build` for WebAssembly, and puts around what comes of it what makes it a component.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"julee/action/internal/component"
)

func main() {
	output := flag.String("o", "", "the component to write")
	tags := flag.String("tags", "", "build tags, as go build takes them")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: component -o FILE.wasm [-tags TAGS] [PACKAGE]")
		flag.PrintDefaults()
	}
	flag.Parse()
	if *output == "" || flag.NArg() > 1 {
		flag.Usage()
		os.Exit(2)
	}
	pack := "."
	if flag.NArg() == 1 {
		pack = flag.Arg(0)
	}
	size, err := build(pack, *tags, *output)
	if err != nil {
		fmt.Fprintln(os.Stderr, "component:", err)
		os.Exit(1)
	}
	fmt.Printf("%s: %d KiB\n", *output, (size+1023)/1024)
}

// build writes the component and says how many bytes it has.
func build(pack, tags, output string) (int, error) {
	folder, err := os.MkdirTemp("", "component-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(folder)
	file := filepath.Join(folder, "module.wasm")
	// The flags of the linker: no tables for debuggers, which are half of the module; and the runtime's own way to get
	// memory may be linked to, which the SDK's memory for the service's answers comes from.
	command := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-tags="+tags,
		"-ldflags=-s -w -checklinkname=0", "-o", file, pack)
	command.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	if err := command.Run(); err != nil {
		return 0, fmt.Errorf("go build: %w", err)
	}
	module, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	whole, err := component.New(module)
	if err != nil {
		return 0, err
	}
	return len(whole), write(output, whole)
}

// write puts a file there when it is complete: whoever looks for it finds all of it or nothing.
func write(output string, bytes []byte) error {
	if err := os.MkdirAll(filepath.Dir(output), 0o777); err != nil {
		return err
	}
	part := output + ".part"
	if err := os.WriteFile(part, bytes, 0o666); err != nil {
		return err
	}
	return os.Rename(part, output)
}
