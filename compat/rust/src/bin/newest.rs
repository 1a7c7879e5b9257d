//! The newest version of the ngrok crate.

use ngrok_newest as ngrok;

macro_rules! set {
    ($builder:ident . $method:ident ( $($value:expr),* )) => {{
        $builder.$method($($value),*);
    }};
}

#[path = "../program.rs"]
mod program;

/// What this version does in its own way.
mod version {
    use ngrok_newest::config::{
        ForwarderBuilder, HttpTunnelBuilder, LabeledTunnelBuilder, TcpTunnelBuilder, TlsTunnelBuilder, TunnelBuilder,
    };
    #[expect(deprecated, reason = "only this way leaves alone what the scenario metadata reads back")]
    use ngrok_newest::prelude::TunnelExt;
    use ngrok_newest::prelude::{EdgeInfo, EndpointInfo, TunnelInfo};
    use ngrok_newest::session::{ConnectError, RpcError};
    use ngrok_newest::{Error, Session};
    use url::Url;

    use super::program::{setting, Bound};

    pub type Failure = Box<dyn std::error::Error + Send + Sync>;

    pub async fn connect() -> Result<Session, Failure> {
        let mut builder = Session::builder();
        builder.server_addr(setting("CONNECT_ADDR"))?.root_cas(setting("CA"))?;
        builder.authtoken(setting("AUTHTOKEN")).metadata("compat-session");
        Ok(builder.connect().await?)
    }

    pub fn code(failure: &Failure) -> String {
        let connect = failure.downcast_ref::<ConnectError>().and_then(|error| error.error_code());
        let bind = failure.downcast_ref::<RpcError>().and_then(|error| error.error_code());
        connect.or(bind).unwrap_or_default().to_owned()
    }

    pub fn newer(mut builder: HttpTunnelBuilder, scenario: &str) -> Option<HttpTunnelBuilder> {
        match scenario {
            "user-agent" => builder.deny_user_agent("compat-bot.*"),
            "policy" => builder.traffic_policy(setting("POLICY")),
            "pooling" => builder.pooling_enabled(true),
            _ => return None,
        };
        Some(builder)
    }

    fn url(scheme: &str, port: &str) -> Url {
        format!("{scheme}://127.0.0.1:{port}").parse().expect("an address")
    }

    fn endpoint(bound: &(impl TunnelInfo + EndpointInfo)) -> Bound {
        Bound { url: Some(bound.url().to_owned()), ..info(bound) }
    }

    fn info(bound: &impl TunnelInfo) -> Bound {
        let (metadata, forwards_to) = (bound.metadata().to_owned(), bound.forwards_to().to_owned());
        Bound { id: bound.id().to_owned(), url: None, metadata, forwards_to }
    }

    #[expect(deprecated, reason = "only this way leaves alone what the scenario metadata reads back")]
    pub async fn forward_http(builder: HttpTunnelBuilder, scenario: &str, port: &str) -> Result<Bound, Failure> {
        if scenario != "metadata" {
            return Ok(keep(builder.listen_and_forward(url("http", port)).await?, endpoint));
        }
        // The other way sets what `forwards_to` said to the address, which this scenario wants to read back.
        let mut tunnel = builder.listen().await?;
        let bound = endpoint(&tunnel);
        let upstream = url("http", port);
        tokio::spawn(async move { tunnel.forward(upstream).await });
        Ok(bound)
    }

    pub async fn forward_tcp(builder: TcpTunnelBuilder, port: &str) -> Result<Bound, Failure> {
        Ok(keep(builder.listen_and_forward(url("tcp", port)).await?, endpoint))
    }

    pub async fn forward_tls(builder: TlsTunnelBuilder, port: &str) -> Result<Bound, Failure> {
        Ok(keep(builder.listen_and_forward(url("tcp", port)).await?, endpoint))
    }

    pub async fn forward_labels(builder: LabeledTunnelBuilder, port: &str) -> Result<Bound, Failure> {
        Ok(keep(builder.listen_and_forward(url("http", port)).await?, |bound| {
            let _labels = bound.labels();
            info(bound)
        }))
    }

    /// Dropping a forwarder would end it: it lives as long as the program.
    fn keep<T>(forwarder: T, describe: impl Fn(&T) -> Bound) -> Bound {
        let bound = describe(&forwarder);
        std::mem::forget(forwarder);
        bound
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    program::main().await
}
