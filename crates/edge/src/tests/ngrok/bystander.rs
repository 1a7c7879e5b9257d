//! Another agent on the edge, which must not notice what an offender does.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// An SDK with a TCP endpoint.
pub(super) struct Bystander {
    sdk: TestSdk,
    port: u16,
}

impl Bystander {
    pub(super) async fn connect(edge: &TestEdge) -> Bystander {
        let sdk = TestSdk::connect(edge, TOKEN, None).await;
        let bound = sdk.bind("tcp", json!({})).await;
        Bystander { sdk, port: port(&bound["URL"]) }
    }

    /// It is served, and so are its visitors.
    pub(super) async fn is_served(&self) {
        assert_eq!(self.sdk.ask(StreamType::SRV_INFO, &json!({})).await["Region"], "local");
        let mut visitor = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        visitor.write_all(b"hello").await.unwrap();
        let (_, _, mut stream) = self.sdk.next().await;
        stream.write_chunk(Bytes::from_static(b"answer")).await.unwrap();
        stream.finish().await.unwrap();
        let mut answer = Vec::new();
        soon(visitor.read_to_end(&mut answer)).await.unwrap();
        assert_eq!(answer, b"answer");
    }

    /// It alone is left, with its one endpoint.
    pub(super) async fn is_alone(&self, edge: &TestEdge) {
        let alone = || {
            let status = edge.edge().status();
            (status.sessions, status.endpoints.len()) == (1, 1)
        };
        eventually("nothing is left of the offender", alone).await;
        self.is_served().await;
    }
}
