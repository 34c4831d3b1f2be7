package action

import (
	"fmt"
	"strings"
)

// Issue is something about a config or an input, and where.
type Issue struct {
	// JSON Pointer (RFC 6901); empty for the whole of it.
	Pointer string `json:"pointer"`
	// A stable snake_case word.
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Issues are all that is wrong with a config or an input: an error where there is at least one. Validate gives them
// back by Err, so that none is none.
type Issues []Issue

// Add says one more thing that is wrong.
func (i *Issues) Add(pointer, code, format string, arguments ...any) {
	*i = append(*i, Issue{pointer, code, fmt.Sprintf(format, arguments...)})
}

// Err is nil where nothing is wrong.
func (i Issues) Err() error {
	if len(i) == 0 {
		return nil
	}
	return i
}

func (i Issues) Error() string {
	var text strings.Builder
	for number, issue := range i {
		if number > 0 {
			text.WriteString("; ")
		}
		if issue.Pointer != "" {
			text.WriteString(issue.Pointer + ": ")
		}
		text.WriteString(issue.Message)
	}
	return text.String()
}

// Failure is InvalidConfig with the issues as details.
func (i Issues) Failure() *Failure {
	return Fail(InvalidConfig, "%s", i.Error()).WithDetails(map[string]any{"issues": []Issue(i)})
}
