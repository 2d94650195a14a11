package serve

import (
	"errors"
	"io"
	"log/slog"
)

// LogSettings say how a server writes its log, to the standard error. A struct of settings
// that embeds them has its log written so by Main.
type LogSettings struct {
	Format logFormat `env:"CULVERT_LOG" envDefault:"text" help:"how lines of the log are written: text, as name=value, or json, an object a line" try:"json"`
}

// logFormat is text or json.
type logFormat string

// UnmarshalText refuses all but these two.
func (f *logFormat) UnmarshalText(b []byte) error {
	switch string(b) {
	case "text", "json":
		*f = logFormat(b)
		return nil
	}
	return errors.New("is neither text nor json")
}

// Logger writes to w.
func (s LogSettings) Logger(w io.Writer) *slog.Logger {
	if s.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, nil))
	}
	return slog.New(slog.NewTextHandler(w, nil))
}

// loggerOf is what cfg says about the log, if it does.
func loggerOf(cfg Settings, w io.Writer) *slog.Logger {
	if says, ok := cfg.(interface {
		Logger(io.Writer) *slog.Logger
	}); ok {
		return says.Logger(w)
	}
	return LogSettings{}.Logger(w)
}
