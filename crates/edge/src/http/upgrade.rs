//! A connection that changed its protocol: raw bytes both ways.

use bytes::Bytes;
use portway_mux::{PipeLimits, pipe};
use tokio::io::AsyncWriteExt;

use super::connection::Upgraded;
use super::visitor_io::VisitorIo;
use super::websocket;
use crate::config::Limits;
use crate::cut::Cut;

/// Joins the two sides until both have ended. Each direction ends by itself.
///
/// Cancel safety: dropped, both sides are cut.
pub(super) async fn join<IO: Cut>(mut visitor: VisitorIo<IO>, upgraded: Upgraded, limits: &Limits) {
    let Upgraded { io, first, websocket } = upgraded;
    // The stream counts until the two sides have ended.
    let (stream, _share) = io.into_stream().into_parts();
    if websocket {
        return websocket::convert(visitor, stream, limits.http_body_idle_timeout).await;
    }
    if send_first(&mut visitor, first).await.is_err() {
        return;
    }
    let piped = pipe(&mut visitor, stream, PipeLimits { idle_timeout: limits.http_body_idle_timeout }).await;
    if piped.unwrap_or_else(|error| error.stats()).told_end {
        visitor.told_end();
    }
}

async fn send_first<IO: Cut>(visitor: &mut VisitorIo<IO>, first: Bytes) -> std::io::Result<()> {
    visitor.write_all(&first).await?;
    visitor.flush().await
}
