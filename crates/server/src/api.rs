//! The REST address. It answers every path with the error body of the REST contract: no resource has a route.

use std::future::Future;

use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use http::{StatusCode, Uri};
use serde_json::json;
use tokio::net::TcpListener;

/// Serves until `stop` is ready.
pub(crate) async fn serve(listener: TcpListener, stop: impl Future<Output = ()> + Send + 'static) {
    let routes = Router::new().fallback(no_such_route);
    if let Err(error) = axum::serve(listener, routes).with_graceful_shutdown(stop).await {
        tracing::error!(%error, "the API address stopped");
    }
}

async fn no_such_route(uri: Uri) -> Response {
    let body = json!({
        "error_code": "",
        "status_code": 404,
        "msg": format!("no such resource: {}. Use `portway admin` on the server's host to manage authtokens.", uri.path()),
        "details": {},
    });
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}
