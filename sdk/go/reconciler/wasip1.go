//go:build wasip1

package reconciler

// What `go tool component` looks for: the service goes by a component's exports, so one that cannot reconcile must not
// export it.
//
//go:wasmexport action-protocol-reconciles
func reconciles() {}
