//! One event as one line.

use std::fmt::Write;

use tracing::Level;

use crate::escape::{printable, write_quoted, write_word};
use crate::event::{Event, Value};
use crate::install::LogFormat;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) format: LogFormat,
    pub(crate) colour: bool,
}

impl Look {
    /// Appends the line, with its end.
    pub(crate) fn write(self, out: &mut String, time: &str, event: &Event) {
        match self.format {
            LogFormat::Term => self.term(out, time, event),
            LogFormat::Logfmt => logfmt(out, time, event),
            LogFormat::Json => json(out, time, event),
        }
        out.push('\n');
    }

    fn term(self, out: &mut String, time: &str, event: &Event) {
        let (level, colour) = match event.level {
            Level::ERROR => ("ERROR", "\x1b[31m"),
            Level::WARN => (" WARN", "\x1b[33m"),
            Level::INFO => (" INFO", "\x1b[32m"),
            Level::DEBUG => ("DEBUG", "\x1b[36m"),
            Level::TRACE => ("TRACE", "\x1b[35m"),
        };
        let (dim, colour, plain) = if self.colour { ("\x1b[2m", colour, "\x1b[0m") } else { ("", "", "") };
        // Writing to a string cannot fail.
        let _ = write!(out, "{dim}{time}{plain} {colour}{level}{plain} {dim}{}:{plain} ", printable(&event.object));
        for (nr, piece) in event.message.split(['\n', '\r']).filter(|piece| !piece.is_empty()).enumerate() {
            let _ = write!(out, "{}{}", if nr == 0 { "" } else { " " }, printable(piece));
        }
        for (name, value) in event.fields.iter() {
            let _ = write!(out, " {dim}{name}={plain}");
            word(out, value);
        }
    }
}

/// The names of ngrok's agent, which programs that read its log look for.
fn logfmt(out: &mut String, time: &str, event: &Event) {
    out.push_str("t=");
    out.push_str(time);
    out.push_str(" lvl=");
    out.push_str(level(event.level));
    out.push_str(" msg=");
    write_quoted(out, &event.message);
    out.push_str(" obj=");
    write_word(out, &event.object);
    for (name, value) in event.fields.iter() {
        out.push(' ');
        out.push_str(name);
        out.push('=');
        word(out, value);
    }
}

fn json(out: &mut String, time: &str, event: &Event) {
    out.push_str("{\"t\":");
    write_quoted(out, time);
    out.push_str(",\"lvl\":");
    write_quoted(out, level(event.level));
    out.push_str(",\"msg\":");
    write_quoted(out, &event.message);
    out.push_str(",\"obj\":");
    write_quoted(out, &event.object);
    for (name, value) in event.fields.iter() {
        out.push(',');
        write_quoted(out, name);
        out.push(':');
        match value {
            Value::Literal(literal) => out.push_str(literal),
            Value::Text(text) => write_quoted(out, text),
        }
    }
    out.push('}');
}

fn word(out: &mut String, value: &Value) {
    match value {
        Value::Literal(text) | Value::Text(text) => write_word(out, text),
    }
}

/// Four letters each, as ngrok's agent writes them.
fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "eror",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG | Level::TRACE => "dbug",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Fields;

    const TIME: &str = "2026-01-02T03:04:05.000006Z";

    fn line(format: LogFormat, colour: bool, event: &Event) -> String {
        let mut out = String::new();
        Look { format, colour }.write(&mut out, TIME, event);
        out
    }

    fn event() -> Event {
        let mut fields = Fields::default();
        fields.set("addr", Value::Text("127.0.0.1:4040".into()));
        fields.set("agent", Value::Text("evil\x1b[2J \"x\"".into()));
        fields.set("count", Value::Literal("3".into()));
        Event { level: Level::ERROR, object: "edge".into(), message: "starting web service\n\nERR".into(), fields }
    }

    #[test]
    fn logfmt_has_the_names_that_wrappers_read() {
        assert_eq!(
            line(LogFormat::Logfmt, false, &event()),
            "t=2026-01-02T03:04:05.000006Z lvl=eror msg=\"starting web service\\n\\nERR\" obj=edge addr=127.0.0.1:4040 \
             agent=\"evil\\u001b[2J \\\"x\\\"\" count=3\n"
        );
    }

    #[test]
    fn json_is_one_object_a_line() {
        let line = line(LogFormat::Json, false, &event());
        assert_eq!(line.matches('\n').count(), 1);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["lvl"], "eror");
        assert_eq!(value["msg"], "starting web service\n\nERR");
        assert_eq!(value["agent"], "evil\x1b[2J \"x\"");
        assert_eq!(value["count"], 3);
    }

    #[test]
    fn a_terminal_gets_colours_of_ours_only() {
        let plain = line(LogFormat::Term, false, &event());
        assert_eq!(
            plain,
            "2026-01-02T03:04:05.000006Z ERROR edge: starting web service ERR addr=127.0.0.1:4040 \
             agent=\"evil\\u001b[2J \\\"x\\\"\" count=3\n"
        );
        let coloured = line(LogFormat::Term, true, &event());
        assert!(coloured.contains("\x1b[31mERROR\x1b[0m"));
        assert!(!coloured.contains("\x1b[2J"));
    }

    #[test]
    fn a_later_field_replaces_an_earlier_one() {
        let mut event = event();
        event.fields.set("count", Value::Literal("4".into()));
        assert_eq!(line(LogFormat::Json, false, &event).matches("count").count(), 1);
    }
}
