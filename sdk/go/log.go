package action

import (
	"fmt"

	"julee/action/internal/host"
)

// Level of a line of the log.
type Level uint8

// The levels.
const (
	LevelDebug Level = iota
	LevelInfo
	LevelWarn
	LevelError
)

// Logf keeps a line with the execution. What is printed to standard output and error is kept too. Package actionlog
// is for those who use log/slog.
func Logf(level Level, format string, arguments ...any) {
	host.Current.Log(host.Level(level), fmt.Sprintf(format, arguments...))
}

// Progress of long work, for whoever watches. A total of 0 is one that nobody knows.
func Progress(completed, total int, format string, arguments ...any) {
	var of *uint32
	if total > 0 {
		known := uint32(total)
		of = &known
	}
	host.Current.Progress(uint32(max(completed, 0)), of, fmt.Sprintf(format, arguments...))
}
