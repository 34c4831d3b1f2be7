// Package answer says what an answer over HTTP means for an execution.
package answer

import (
	"strconv"
	"strings"
	"time"

	"julee/action"
)

// Enough of a body to see what the remote complains about.
const detailsBytesMax = 4096

// Retry-After in seconds: more than this is more than the contract can carry.
const secondsMax = 50 * 24 * 60 * 60

// Failure is what a status that was not expected means. Whether a request may be repeated counts where a gateway does
// not know what became of it.
func Failure(url string, status int, header func(string) string, body []byte, mayRepeat bool) *action.Failure {
	kind, again := action.Rejected, action.Retry
	if wait, asked := RetryAfter(header); asked {
		again = action.RetryAfter(wait)
	}
	advice := action.GiveUp
	switch {
	case status == 401 || status == 403 || status == 407:
		kind = action.Unauthenticated
	case status == 408 || status == 425 || status == 429: // the remote did not begin with it
		kind, advice = action.RateLimited, again
	case (status == 502 || status == 504) && !mayRepeat:
		kind, advice = action.Unavailable, action.InDoubt
	case status >= 500 && status != 501 && status != 505:
		kind, advice = action.Unavailable, again
	case status < 300:
		kind = action.BadResponse
	}
	// The query may hold what is nobody's business.
	place, _, _ := strings.Cut(url, "?")
	excerpt := strings.ToValidUTF8(string(body[:min(len(body), detailsBytesMax)]), "\uFFFD")
	details := map[string]any{"status": status, "body": excerpt}
	return action.Fail(kind, "%s answered %d", place, status).With(advice).WithDetails(details)
}

// RetryAfter is how long the header of this name asks to wait. A date is measured against the remote's own clock.
func RetryAfter(header func(string) string) (time.Duration, bool) {
	text := strings.TrimSpace(header("Retry-After"))
	if seconds, err := strconv.ParseUint(text, 10, 32); err == nil {
		return time.Duration(min(seconds, secondsMax)) * time.Second, true
	}
	then, is := date(text)
	if !is {
		return 0, false
	}
	now, is := date(strings.TrimSpace(header("Date")))
	if !is {
		now = time.Now()
	}
	return max(then.Sub(now), 0), true
}

func date(text string) (time.Time, bool) {
	// As RFC 9110 has them.
	for _, form := range []string{"Mon, 02 Jan 2006 15:04:05 GMT", time.RFC850, time.ANSIC} {
		if found, err := time.Parse(form, text); err == nil {
			return found, true
		}
	}
	return time.Time{}, false
}

// MayRepeat says whether a repeat of a request with this method does no harm.
func MayRepeat(method string) bool {
	switch method {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return false
}
