//! HTTP and HTTPS endpoints.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::state::EdgeShared;
use crate::visitor::Visitor;

/// Serves one visitor's connection until it ends.
pub(crate) async fn serve<IO>(_io: IO, _visitor: Visitor, _edge: Arc<EdgeShared>)
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
}
