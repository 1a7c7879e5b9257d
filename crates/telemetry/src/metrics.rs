//! Metrics as text.

use std::fmt;

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// Content type of what [`render`] returns.
pub const METRICS_CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Every metric of the registry in the OpenMetrics text format, version 1.0.
///
/// # Errors
///
/// When a metric cannot be written, which is a fault of that metric.
pub fn render(registry: &Registry) -> Result<String, fmt::Error> {
    let mut text = String::new();
    encode(&mut text, registry)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    #[test]
    fn a_counter_is_rendered() {
        let mut registry = Registry::default();
        let counter: Counter = Counter::default();
        registry.register("portway_refused", "Connections refused", counter.clone());
        counter.inc_by(3);
        let text = render(&registry).unwrap();
        assert!(text.contains("portway_refused_total 3\n"), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
