//go:build wasip1

package action

import _ "julee/action/internal/bindings/exports" // what the service calls
