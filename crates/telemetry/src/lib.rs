//! Logs and metrics, installed once by the program.
//!
//! It never decides what is worth a line and never slows its caller down: lines go through a bounded queue to a thread of their own, and
//! what does not fit is counted and dropped. Control characters never reach the output as they are, whoever sent them.

mod escape;
mod event;
mod install;
mod layer;
mod line;
mod metrics;
mod sink;
mod throttle;

pub use escape::{Printable, printable, steers_terminal};
pub use install::{FILTER_VARIABLE, LogConfig, LogError, LogFormat, LogHandle, LogOutput, install};
pub use metrics::{METRICS_CONTENT_TYPE, render};
pub use throttle::Throttle;
