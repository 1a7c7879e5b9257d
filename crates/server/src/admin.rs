//! The admin address: liveness, readiness and metrics. Keep it on loopback or behind a firewall; it asks nobody who they are.

use std::future::Future;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::{StatusCode, header};
use portway_control::Health;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

/// How far the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    Starting = 0,
    Serving = 1,
    Draining = 2,
}

/// What the admin address tells about.
#[derive(Debug, Clone)]
pub(crate) struct Admin {
    phase: Arc<AtomicU8>,
    shown: Arc<Mutex<Shown>>,
}

/// What is asked for on each request.
#[derive(Debug, Clone)]
struct Shown {
    metrics: Arc<Registry>,
    database: Health,
}

impl Admin {
    pub(crate) fn new(metrics: Registry, database: Health) -> Self {
        let shown = Shown { metrics: Arc::new(metrics), database };
        Self { phase: Arc::new(AtomicU8::new(Phase::Starting as u8)), shown: Arc::new(Mutex::new(shown)) }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// Shows others from now on: the metrics of a new edge, the database of a control plane opened again.
    pub(crate) fn replace(&self, metrics: Registry, database: Health) {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Shown { metrics: Arc::new(metrics), database };
    }

    fn shown(&self) -> Shown {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Serves until `stop` is ready.
    pub(crate) async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()> + Send + 'static) {
        let routes = Router::new()
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(readiness))
            .route("/metrics", get(metrics))
            .with_state(self);
        if let Err(error) = axum::serve(listener, routes).with_graceful_shutdown(stop).await {
            tracing::error!(%error, "the admin address stopped");
        }
    }
}

async fn readiness(State(admin): State<Admin>) -> impl IntoResponse {
    let not_ready = |reason: String| (StatusCode::SERVICE_UNAVAILABLE, reason);
    match admin.phase.load(Ordering::Acquire) {
        // Visitors are served all the same; what needs a write is not.
        phase if phase == Phase::Serving as u8 => match admin.shown().database.fault() {
            Some(fault) => not_ready(format!("not ready: {fault}\n")),
            None => (StatusCode::OK, "ready\n".to_owned()),
        },
        phase if phase == Phase::Draining as u8 => not_ready("draining\n".to_owned()),
        _ => not_ready("starting\n".to_owned()),
    }
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    match portway_telemetry::render(&admin.shown().metrics) {
        Ok(text) => (
            StatusCode::OK,
            [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")],
            text,
        ),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
            format!("{error}\n"),
        ),
    }
}
