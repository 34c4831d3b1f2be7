// Package actionlog keeps what log/slog is given with the execution.
//
//	import _ "julee/action/actionlog"
//
// makes it slog's default, and that of package log.
package actionlog

import (
	"bytes"
	"context"
	"log/slog"
	"strings"

	"julee/action/internal/host"
)

func init() {
	slog.SetDefault(slog.New(New(slog.LevelInfo)))
}

// Handler is a slog.Handler. A line is the message and then the attributes, as slog.TextHandler writes them; time and
// level are the service's to keep.
type Handler struct {
	least slog.Leveler
	// Each puts attributes or a group onto one that writes text.
	with []func(slog.Handler) slog.Handler
}

// New keeps what has at least this level.
func New(least slog.Leveler) *Handler {
	return &Handler{least: least}
}

// Enabled says whether a level is kept.
func (h *Handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.least.Level()
}

// WithAttrs gives a handler that adds these attributes.
func (h *Handler) WithAttrs(attributes []slog.Attr) slog.Handler {
	return h.and(func(text slog.Handler) slog.Handler { return text.WithAttrs(attributes) })
}

// WithGroup gives a handler that puts what comes into a group.
func (h *Handler) WithGroup(name string) slog.Handler {
	return h.and(func(text slog.Handler) slog.Handler { return text.WithGroup(name) })
}

func (h *Handler) and(more func(slog.Handler) slog.Handler) slog.Handler {
	with := append(h.with[:len(h.with):len(h.with)], more)
	return &Handler{h.least, with}
}

// Handle keeps a line.
func (h *Handler) Handle(ctx context.Context, record slog.Record) error {
	var attributes bytes.Buffer
	var text slog.Handler = slog.NewTextHandler(&attributes, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(groups []string, attribute slog.Attr) slog.Attr {
			if len(groups) == 0 && (attribute.Key == slog.TimeKey || attribute.Key == slog.LevelKey || attribute.Key == slog.MessageKey) {
				return slog.Attr{}
			}
			return attribute
		},
	})
	for _, more := range h.with {
		text = more(text)
	}
	if err := text.Handle(ctx, record); err != nil {
		return err
	}
	line := strings.TrimSpace(record.Message + " " + attributes.String())
	host.Current.Log(levelOf(record.Level), line)
	return nil
}

func levelOf(level slog.Level) host.Level {
	switch {
	case level >= slog.LevelError:
		return host.Error
	case level >= slog.LevelWarn:
		return host.Warn
	case level >= slog.LevelInfo:
		return host.Info
	}
	return host.Debug
}
