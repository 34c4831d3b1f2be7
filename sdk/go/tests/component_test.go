package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"julee/action/internal/component"
)

// modules are built with the Go that runs this test.
func module(t *testing.T, source string) []byte {
	t.Helper()
	sdk, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	manifest := "module tried\n\ngo 1.25\n\nrequire julee/action v0.0.0\n\nreplace julee/action => " + sdk + "\n"
	for name, text := range map[string]string{"go.mod": manifest, "main.go": source} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(folder, "module.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-checklinkname=0", "-o", file, ".")
	build.Dir = folder
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	built, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return built
}

func TestOnlyAProtocolBecomesAComponent(t *testing.T) {
	protocol := module(t, "package main\n\nimport _ \"julee/action\"\n\nfunc main() {}\n")
	made, err := component.New(protocol)
	if err != nil || len(made) < len(protocol) || string(made[:8]) != "\x00asm\x0d\x00\x01\x00" {
		t.Errorf("%v, %d bytes of %d", err, len(made), len(protocol))
	}
	reconciling := module(t, "package main\n\nimport _ \"julee/action/reconciler\"\n\nfunc main() {}\n")
	can, err := component.New(reconciling)
	if err != nil {
		t.Fatal(err)
	}
	// Each module has the function; a component says so only where it is to be called.
	said := func(where []byte) int { return strings.Count(string(where), "julee:action/reconciler@0.1.0") }
	if said(made) != said(protocol) || said(can) <= said(reconciling) {
		t.Errorf("it is named %d times by what cannot reconcile, %d by what can", said(made)-said(protocol), said(can)-said(reconciling))
	}
	other := module(t, "package main\n\nfunc main() {}\n")
	greedy := module(t, `package main

import _ "julee/action"

//go:wasmimport evil backdoor
func backdoor()

func main() {}

func init() {
	if len(name) > 5 {
		backdoor()
	}
}

var name = "short"
`)
	for name, wrong := range map[string]struct {
		module []byte
		said   string
	}{
		"another program":   {other, "action.Export"},
		"another's import":  {greedy, "imports evil backdoor"},
		"a part":            {protocol[:len(protocol)/2], "too early"},
		"nothing":           {nil, "no module"},
		"a component":       {made, "no module"},
		"eight bytes alone": {protocol[:8], "action.Export"},
	} {
		if _, err := component.New(wrong.module); err == nil || !strings.Contains(err.Error(), wrong.said) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
