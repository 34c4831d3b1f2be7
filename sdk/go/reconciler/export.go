// Package reconciler is for protocols that can find out what became of an attempt in doubt.
package reconciler

import "julee/action"

// Export makes a protocol the one of this program, in the place of action.Export.
func Export[C any](protocol action.Reconciler[C]) {
	action.Export[C](protocol)
}
