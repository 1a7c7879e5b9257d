//! When an authority wants certificates renewed: by an authority that has wishes, which Pebble has not.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use portway_acme::{Account, Authority, Renewal};
use portway_tls::{CertStore, CertifiedKey, Roots, server_config};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Answers everything that an account and a question about a renewal need.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, at: SocketAddr, wishes: bool) -> Result<()> {
    loop {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await?);
        }
        let request = String::from_utf8(request)?.to_lowercase();
        let length = request.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(Ok(0), str::parse)?];
        stream.read_exact(&mut body).await?;
        let base = format!("https://localhost:{}", at.port());
        let target = request.split(' ').nth(1).context("a request")?;
        let wish = if wishes { format!(r#","renewalInfo":"{base}/renewal""#) } else { String::new() };
        let (head, body) = match target {
            "/directory" => (
                "200 OK\r\ncontent-type: application/json".to_owned(),
                format!(
                    r#"{{"newNonce":"{base}/nonce","newAccount":"{base}/account","newOrder":"{base}/order"{wish},
                        "meta":{{"caaIdentities":["CA.example"]}}}}"#
                ),
            ),
            "/account" => (format!("201 Created\r\nlocation: {base}/account/1"), r#"{"status":"valid"}"#.to_owned()),
            "/nonce" => ("200 OK".to_owned(), String::new()),
            _ => (
                "200 OK\r\nretry-after: 21600".to_owned(),
                r#"{"suggestedWindow":{"start":"2030-01-02T04:00:00Z","end":"2030-01-03T04:00:00Z"}}"#.to_owned(),
            ),
        };
        let length = body.len();
        let head = format!("HTTP/1.1 {head}\r\nreplay-nonce: bm9uY2U\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all(format!("{head}{body}").as_bytes()).await?;
    }
}

/// Starts an authority; with it goes a certificate that it could have issued.
async fn authority(wishes: bool) -> Result<(Authority, String)> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.use_authority_key_identifier_extension = true;
    let root = params.self_signed(&key)?.pem();
    let issuer = Issuer::new(params, key);
    let own = KeyPair::generate()?;
    let mut leaf = CertificateParams::new(vec!["localhost".to_owned()])?;
    leaf.use_authority_key_identifier_extension = true;
    let leaf = leaf.signed_by(&own, &issuer)?.pem();
    let store = Arc::new(CertStore::new());
    let pair = CertifiedKey::from_pem(leaf.as_bytes(), own.serialize_pem().as_bytes())?;
    store.upsert("own", vec!["localhost".parse()?], pair);
    let acceptor = TlsAcceptor::from(server_config(&store, &[]));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let at = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    drop(answer(stream, at, wishes).await);
                }
            });
        }
    });
    let directory = format!("https://localhost:{}/directory", at.port());
    Ok((Authority { directory, roots: Roots::Pem(root.into_bytes()) }, leaf))
}

#[tokio::test]
async fn an_authority_says_when_and_how_caa_names_it() -> Result<()> {
    let (authority, leaf) = authority(true).await?;
    assert_eq!(authority.identities().await?, ["ca.example"]);
    let (account, _) = Account::register(&authority, None, None).await?;
    let from = SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_556_800);
    let until = from + Duration::from_secs(24 * 60 * 60);
    let Renewal { from: found, until: found_until, ask_again } = account.renewal(&leaf).await?.context("a wish")?;
    assert_eq!((found, found_until), (from, until));
    assert!(ask_again > Duration::from_secs(21_000) && ask_again <= Duration::from_secs(21_600), "{ask_again:?}");
    assert!(account.renewal("no certificate").await.is_err());
    Ok(())
}

#[tokio::test]
async fn one_without_wishes_is_not_asked() -> Result<()> {
    let (authority, leaf) = authority(false).await?;
    let (account, _) = Account::register(&authority, None, None).await?;
    assert_eq!(account.renewal(&leaf).await?, None);
    Ok(())
}
