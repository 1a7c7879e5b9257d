//! The last version of the ngrok crate that speaks version 2 of the protocol only.

use ngrok_oldest as ngrok;

macro_rules! set {
    ($builder:ident . $method:ident ( $($value:expr),* )) => {{
        $builder = $builder.$method($($value),*);
    }};
}

#[path = "../program.rs"]
mod program;

/// What this version does in its own way.
mod version {
    use ngrok_oldest::config::{
        HttpTunnelBuilder, LabeledTunnelBuilder, TcpTunnelBuilder, TlsTunnelBuilder, TunnelBuilder,
    };
    use ngrok_oldest::prelude::{NgrokError, TunnelExt, UrlTunnel};
    use ngrok_oldest::session::{ConnectError, RpcError};
    use ngrok_oldest::{Session, Tunnel};

    use super::program::{read, setting, Bound};

    pub type Failure = Box<dyn std::error::Error + Send + Sync>;

    pub async fn connect() -> Result<Session, Failure> {
        let builder = Session::builder().server_addr(setting("CONNECT_ADDR")).ca_cert(read("CA").into());
        Ok(builder.authtoken(setting("AUTHTOKEN")).metadata("compat-session").connect().await?)
    }

    pub fn code(failure: &Failure) -> String {
        let connect = failure.downcast_ref::<ConnectError>().and_then(|error| error.error_code());
        let bind = failure.downcast_ref::<RpcError>().and_then(|error| error.error_code());
        connect.or(bind).unwrap_or_default().to_owned()
    }

    pub fn newer(_: HttpTunnelBuilder, _: &str) -> Option<HttpTunnelBuilder> {
        None
    }

    fn serve<T: Tunnel + Send + 'static>(mut tunnel: T, url: Option<String>, port: &str) -> Bound {
        let (id, metadata) = (tunnel.id().to_owned(), tunnel.metadata().to_owned());
        let bound = Bound { id, url, metadata, forwards_to: tunnel.forwards_to().to_owned() };
        let address = format!("127.0.0.1:{port}");
        tokio::spawn(async move { tunnel.forward_tcp(address).await });
        bound
    }

    pub async fn forward_http(builder: HttpTunnelBuilder, _: &str, port: &str) -> Result<Bound, Failure> {
        let tunnel = builder.listen().await?;
        let url = tunnel.url().to_owned();
        Ok(serve(tunnel, Some(url), port))
    }

    pub async fn forward_tcp(builder: TcpTunnelBuilder, port: &str) -> Result<Bound, Failure> {
        let tunnel = builder.listen().await?;
        let url = tunnel.url().to_owned();
        Ok(serve(tunnel, Some(url), port))
    }

    pub async fn forward_tls(builder: TlsTunnelBuilder, port: &str) -> Result<Bound, Failure> {
        let tunnel = builder.listen().await?;
        let url = tunnel.url().to_owned();
        Ok(serve(tunnel, Some(url), port))
    }

    pub async fn forward_labels(builder: LabeledTunnelBuilder, port: &str) -> Result<Bound, Failure> {
        Ok(serve(builder.listen().await?, None, port))
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    program::main().await
}
