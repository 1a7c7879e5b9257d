//! Addresses as people write them, and dialling.

use tokio::net::TcpListener;

use super::*;

fn normal(text: &str, kind: Scheme) -> String {
    match Upstream::parse(text, kind) {
        Ok(upstream) => upstream.to_string(),
        Err(error) => format!("! {}", error.reason),
    }
}

#[test]
fn http_addresses_are_normalised() {
    for (text, expected) in [
        ("8080", "http://localhost:8080"),
        ("443", "https://localhost:443"),
        ("localhost:443", "https://localhost:443"),
        ("example.com", "http://example.com:80"),
        (":9000", "http://localhost:9000"),
        ("[::1]:80", "http://[::1]:80"),
        ("http://127.0.0.1", "http://127.0.0.1:80"),
        ("https://10.0.0.1:8443/", "https://10.0.0.1:8443"),
        ("HTTP://localhost:1", "http://localhost:1"),
        ("unix:/run/app.sock", "unix:/run/app.sock"),
        ("unix:///run/app.sock", "unix:/run/app.sock"),
        ("", "! it is empty; write a port, host:port, a URL or unix:/path"),
        ("0", "! \"0\" is not a port; ports are 1 to 65535"),
        ("65536", "! \"65536\" is not a port; ports are 1 to 65535"),
        ("localhost:http", "! \"http\" is not a port; ports are 1 to 65535"),
        ("::1", "! write an IPv6 address in brackets: [::1]:8080"),
        ("[::1", "! the closing ] of the IPv6 address is missing"),
        ("http://localhost:80/app", "! \"/app\" is after the address; only scheme, host and port can be given"),
        ("http://me:secret@localhost", "! user names and passwords cannot be part of it"),
        ("ftp://localhost", "! \"ftp\" is not a scheme to forward to; use http, https, tcp, tls or unix:/path"),
        ("tcp://localhost:1", "! an http endpoint forwards to http:// or https://"),
        ("file:///srv", "! serving files is not built yet; run a file server and give its address"),
        ("unix:relative", "! write unix:/absolute/path"),
    ] {
        assert_eq!(normal(text, Scheme::Http), expected, "{text:?}");
    }
}

#[test]
fn tcp_and_tls_addresses_need_a_port() {
    for (text, expected) in [
        ("22", "localhost:22"),
        ("443", "localhost:443"),
        ("db.internal:5432", "db.internal:5432"),
        ("tcp://db.internal:5432", "db.internal:5432"),
        ("tls://db.internal:5433", "tls://db.internal:5433"),
        ("db.internal", "! the port is missing; write host:port"),
        ("http://localhost:80", "! a tcp endpoint forwards to host:port or tls://host:port"),
    ] {
        assert_eq!(normal(text, Scheme::Tcp), expected, "{text:?}");
    }
}

#[test]
fn authority_leaves_the_schemes_port_out() {
    let authority = |text| Upstream::parse(text, Scheme::Http).expect("valid").authority().to_owned();
    assert_eq!(authority("http://app.internal"), "app.internal");
    assert_eq!(authority("8080"), "localhost:8080");
    assert_eq!(authority("https://[::1]:443"), "[::1]");
}

#[tokio::test]
async fn localhost_is_found_on_either_family() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(listener) = TcpListener::bind(address).await else { continue };
        let port = listener.local_addr().expect("bound").port();
        let upstream = Upstream::parse(&port.to_string(), Scheme::Http).expect("valid");
        assert!(matches!(upstream.dial().await, Ok(UpstreamIo::Tcp(_))), "{address}");
    }
}

#[tokio::test]
async fn failures_carry_their_code() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let port = listener.local_addr().expect("bound").port();
    drop(listener);
    let refused = Upstream::parse(&format!("127.0.0.1:{port}"), Scheme::Tcp)
        .expect("valid")
        .dial()
        .await
        .expect_err("closed port");
    assert_eq!(refused.code, ErrorCode::UPSTREAM_REFUSED);
    assert!(refused.text.starts_with(&format!("127.0.0.1:{port} was not reached: ")), "{}", refused.text);

    let name =
        Upstream::parse("nothing.invalid:1", Scheme::Tcp).expect("valid").dial().await.expect_err("no such name");
    assert_eq!(name.code, ErrorCode::UPSTREAM_NAME);

    let missing = Upstream::parse("unix:/nonexistent/x.sock", Scheme::Tcp)
        .expect("valid")
        .dial()
        .await
        .expect_err("no such file");
    assert_eq!(missing.code, ErrorCode::UPSTREAM_REFUSED);
}

#[tokio::test]
async fn a_tls_upstream_that_does_not_speak_tls_is_a_tls_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let port = listener.local_addr().expect("bound").port();
    let upstream = Upstream::parse(&format!("https://127.0.0.1:{port}"), Scheme::Http).expect("valid");
    let (accepted, dialled) = tokio::join!(
        async {
            let (mut socket, _) = listener.accept().await.expect("accept");
            tokio::io::AsyncWriteExt::write_all(&mut socket, b"HTTP/1.1 400 Bad Request\r\n\r\n").await
        },
        upstream.dial()
    );
    accepted.expect("written");
    assert_eq!(dialled.expect_err("not TLS").code, ErrorCode::UPSTREAM_TLS);
}
