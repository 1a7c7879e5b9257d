//! From tracing's events to lines.

use std::cell::RefCell;

use tracing::span::{Attributes, Id, Record};
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::event::{Event, Fields, Value};
use crate::line::Look;
use crate::sink::Sink;

/// Writes each event that passes the filter, with the fields of the spans around it.
pub(crate) struct LineLayer {
    pub(crate) look: Look,
    pub(crate) sink: Sink,
}

thread_local! {
    /// Reused from line to line.
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
}

impl<S> Layer<S> for LineLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                fields.extend(of_span);
            }
        }
        event.record(&mut fields);
        let message = fields.take("message").unwrap_or_default();
        let target = logged_target(&mut fields);
        let target = target.as_deref().unwrap_or_else(|| event.metadata().target());
        let object = fields.take("obj").unwrap_or_else(|| object(target).to_owned());
        let event = Event { level: *event.metadata().level(), object, message, fields };

        let time = now();
        // An event inside the writing of an event (a Display that logs) gets a buffer of its own.
        LINE.with(|line| match line.try_borrow_mut() {
            Ok(mut line) => {
                line.clear();
                self.look.write(&mut line, &time, &event);
                self.sink.send(&line);
            }
            Err(_) => {
                let mut line = String::new();
                self.look.write(&mut line, &time, &event);
                self.sink.send(&line);
            }
        });
    }
}

/// The line about lines that were dropped.
pub(crate) fn lost_line(look: Look, count: u64) -> String {
    let mut fields = Fields::default();
    fields.set("count", Value::Literal(count.to_string()));
    let message = "log lines were dropped because the output was too slow".to_owned();
    let mut line = String::new();
    look.write(&mut line, &now(), &Event { level: Level::WARN, object: "log".to_owned(), message, fields });
    line
}

/// The `date-time` of RFC 3339 section 5.6, in UTC, with microseconds.
fn now() -> String {
    let mut time = String::new();
    if SystemTime.format_time(&mut Writer::new(&mut time)).is_err() {
        time.push('-');
    }
    time
}

/// Records of the `log` crate arrive with their origin as fields.
fn logged_target(fields: &mut Fields) -> Option<String> {
    let target = fields.take("log.target")?;
    for field in ["log.module_path", "log.file", "log.line"] {
        fields.take(field);
    }
    Some(target)
}

/// The part of the program that a target belongs to: the crate, without our prefix.
fn object(target: &str) -> &str {
    let krate = target.split("::").next().unwrap_or(target);
    krate.strip_prefix("portway_").unwrap_or(krate)
}
