//! The DNS of a server as `dig` sees it: a client that somebody else wrote, with its own reading of the format.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use portway_testkit::Cluster;
use tokio::process::Command;

/// What `dig` prints of an answer; `+nocomments` and the like choose what that is.
async fn dig(server: SocketAddr, words: &[&str]) -> Result<String> {
    let mut command = Command::new("/usr/bin/dig");
    command.arg(format!("@{}", server.ip())).args(["-p", &server.port().to_string(), "+tries=1", "+time=5"]);
    let output = command.args(words).output().await?;
    ensure!(output.status.success(), "dig {words:?}: {output:?}");
    String::from_utf8(output.stdout).context("text")
}

#[tokio::test]
async fn dig_finds_nothing_to_complain_about() -> Result<()> {
    if !Path::new("/usr/bin/dig").exists() {
        println!("skipped: needs dig; install it with apt-get install bind9-dnsutils");
        return Ok(());
    }
    let cluster = Cluster::start().await?;
    let (server, base) = (cluster.ready().dns_addr, cluster.ready().base_domain.clone());
    let app = format!("aPP.{base}");
    for way in [&["+notcp"][..], &["+tcp"], &["+noedns"], &["+subnet=198.51.100.0/24"], &["+bufsize=512"], &["+cookie"]]
    {
        let answer = dig(server, &[&[app.as_str(), "A"], way].concat()).await?;
        for line in ["status: NOERROR", "flags: qr aa rd;", "ANSWER: 1", &format!(";{app}.")] {
            assert!(answer.contains(line), "{way:?} without {line:?}: {answer}");
        }
        for word in ["WARNING: Message", "malformed", "mismatch", "extra bytes"] {
            assert!(!answer.contains(word), "{way:?}: {answer}");
        }
    }
    let subnet = dig(server, &[&app, "A", "+subnet=198.51.100.0/24"]).await?;
    assert!(subnet.contains("CLIENT-SUBNET: 198.51.100.0/24/0"), "the same for everybody: {subnet}");
    let short = async |words: &[&str]| Ok::<_, anyhow::Error>(dig(server, &[words, &["+short"]].concat()).await?);
    assert_eq!(short(&[&app, "A"]).await?, "127.0.0.1\n");
    assert_eq!(short(&[&app, "AAAA"]).await?, "");
    assert_eq!(short(&[&base, "NS"]).await?, format!("connect.{base}.\n"));
    assert!(short(&[&base, "SOA"]).await?.starts_with(&format!("connect.{base}. hostmaster.{base}. ")));
    assert_eq!(short(&[&app, "ANY", "+notcp"]).await?, "\"RFC8482\" \"\"\n");
    for (words, status) in [
        (&["x.y.cname.portway.localhost", "A"][..], "NXDOMAIN"),
        (&["example.com", "A"], "REFUSED"),
        (&["version.bind", "TXT", "-c", "CH"], "REFUSED"),
        (&["portway.localhost", "A", "+opcode=NOTIFY"], "NOTIMP"),
        (&["portway.localhost", "A", "+edns=1", "+noednsnegotiation"], "BADVERS"),
    ] {
        let answer = dig(server, words).await?;
        assert!(answer.contains(&format!("status: {status}")), "{words:?}: {answer}");
    }
    for kind in ["AXFR", "IXFR=1"] {
        let transfer = dig(server, &[&base, kind]).await?;
        assert!(transfer.contains("Transfer failed"), "{kind}: {transfer}");
    }
    Ok(())
}
