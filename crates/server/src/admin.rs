//! The admin address: liveness, readiness and metrics. Keep it on loopback or behind a firewall; it asks nobody who they are.

use std::future::Future;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::{StatusCode, header};
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
    metrics: Arc<Mutex<Arc<Registry>>>,
}

impl Admin {
    pub(crate) fn new(metrics: Registry) -> Self {
        Self { phase: Arc::new(AtomicU8::new(Phase::Starting as u8)), metrics: Arc::new(Mutex::new(Arc::new(metrics))) }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// Shows other metrics from now on: those of a new edge.
    pub(crate) fn replace_metrics(&self, metrics: Registry) {
        *self.metrics.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(metrics);
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
    match admin.phase.load(Ordering::Acquire) {
        phase if phase == Phase::Serving as u8 => (StatusCode::OK, "ready\n"),
        phase if phase == Phase::Draining as u8 => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
    }
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    let metrics = Arc::clone(&admin.metrics.lock().unwrap_or_else(PoisonError::into_inner));
    match portway_telemetry::render(&metrics) {
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
