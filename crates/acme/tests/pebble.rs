//! Orders at a real authority: Pebble, with its server for challenges.

#[expect(dead_code, unreachable_pub, reason = "the whole system's tests use the rest")]
#[path = "../../testkit/src/pebble.rs"]
mod authority;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use portway_acme::{Account, Authority, Blame, Fault, Order, Progress, Proof, SigningKey, Way};
use portway_names::HostPattern;
use portway_tls::Roots;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use authority::{Behaviour, free_ports};

/// Longest wait for something that must happen. No test asserts how fast.
const PATIENCE: Duration = Duration::from_secs(60);

/// An authority of the test's own, and the server where it looks for proofs.
struct Pebble {
    authority: Authority,
    /// Where proofs are handed in.
    management: SocketAddr,
    challenges: Child,
    _program: authority::Pebble,
}

impl Pebble {
    /// Starts it; of a hundred good nonces it refuses `refused_nonces`. None where it is not installed.
    async fn start(refused_nonces: u8) -> Result<Option<Pebble>> {
        let Some(mut program) = authority::Pebble::plan()? else { return Ok(None) };
        let [http, tls, dns, management] = free_ports()?;
        let at = |port: u16| format!("127.0.0.1:{port}");
        let challenges = Command::new("/usr/bin/pebble-challtestsrv")
            .args(["-http01", &at(http), "-tlsalpn01", &at(tls), "-https01", "", "-dns01", &at(dns)])
            .args(["-management", &at(management), "-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let dns = (Ipv4Addr::LOCALHOST, dns).into();
        let validity = Duration::from_secs(90 * 24 * 60 * 60);
        program.start(&Behaviour { http, tls, dns, refused_nonces, validity, external_accounts: false }).await?;
        let roots = Roots::Pem(program.own_root().as_bytes().to_vec());
        let authority = Authority { directory: program.directory(), roots };
        let management = SocketAddr::from((Ipv4Addr::LOCALHOST, management));
        let started = Pebble { authority, management, challenges, _program: program };
        let listening = async {
            while TcpStream::connect(management).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, listening).await.context("the server for challenges does not listen")?;
        Ok(Some(started))
    }

    /// Has the server for challenges answer as `proof` wants it.
    async fn answer(&self, proof: &Proof) -> Result<()> {
        let Proof { name, token, text, record, .. } = proof;
        match proof.way {
            Way::Http => self.tell("/add-http01", &format!(r#"{{"token": "{token}", "content": "{text}"}}"#)).await,
            Way::Dns => {
                let host = format!("_acme-challenge.{name}.");
                self.tell("/set-txt", &format!(r#"{{"host": "{host}", "value": "{record}"}}"#)).await
            }
            Way::TlsAlpn => self.tell("/add-tlsalpn01", &format!(r#"{{"host": "{name}", "content": "{text}"}}"#)).await,
        }
    }

    async fn tell(&self, path: &str, body: &str) -> Result<()> {
        let mut stream = TcpStream::connect(self.management).await?;
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).await?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await?;
        ensure!(reply.starts_with("HTTP/1.1 200"), "{path}: {reply}");
        Ok(())
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        drop(self.challenges.kill());
        drop(self.challenges.wait());
    }
}

fn names(texts: &[&str]) -> Vec<HostPattern> {
    texts.iter().map(|text| text.parse().expect("a name")).collect()
}

/// Waits while it is `from`.
async fn past(order: &mut Order, from: Progress) -> Result<Progress> {
    let waiting = async {
        loop {
            match order.refresh().await? {
                progress if progress == from => tokio::time::sleep(Duration::from_millis(50)).await,
                progress => return Ok::<_, Fault>(progress),
            }
        }
    };
    Ok(tokio::time::timeout(PATIENCE, waiting).await.context("nothing happens")??)
}

/// The whole way from the proofs to the chain.
async fn finish(
    pebble: &Pebble,
    order: &mut Order,
    wanted: &[HostPattern],
    ways: &[Way],
    key: &SigningKey,
) -> Result<String> {
    let proofs = order.proofs(ways).await?;
    for proof in &proofs {
        pebble.answer(proof).await?;
    }
    order.show(&proofs).await?;
    ensure!(past(order, Progress::Pending).await? == Progress::Proved);
    order.request(wanted, key).await?;
    past(order, Progress::Processing).await?;
    order.certificate().await?.context("a certificate")
}

/// The names of the first certificate of a chain.
fn named(chain: &str) -> Result<Vec<String>> {
    let leaf = CertificateDer::from_pem_slice(chain.as_bytes())?;
    let (_, leaf) = x509_parser::parse_x509_certificate(&leaf)?;
    let names = leaf.subject_alternative_name()?.context("names")?;
    let mut names: Vec<String> = names.value.general_names.iter().map(ToString::to_string).collect();
    names.sort();
    Ok(names)
}

#[tokio::test]
async fn every_way_leads_to_a_certificate() -> Result<()> {
    let Some(pebble) = Pebble::start(0).await? else { return Ok(()) };
    let (account, _) = Account::register(&pebble.authority, Some("mailto:ops@example.com"), None).await?;
    for (wanted, way, key) in [
        (&["app.acme.example"][..], Way::Http, SigningKey::ecdsa()?),
        (&["alpn.acme.example"], Way::TlsAlpn, SigningKey::ecdsa()?),
        (&["*.shop.example", "shop.example"], Way::Dns, SigningKey::ecdsa()?),
    ] {
        let wanted = names(wanted);
        let mut order = account.order(&wanted, None).await?;
        let chain = finish(&pebble, &mut order, &wanted, &[way], &key).await?;
        let mut expected: Vec<String> = wanted.iter().map(|name| format!("DNSName({name})")).collect();
        expected.sort();
        assert_eq!(named(&chain)?, expected, "{way:?}");
        assert!(chain.matches("BEGIN CERTIFICATE").count() >= 2, "with its issuer");
    }
    Ok(())
}

#[tokio::test]
async fn an_order_goes_on_after_a_restart_at_every_step() -> Result<()> {
    let Some(pebble) = Pebble::start(0).await? else { return Ok(()) };
    let (account, credentials) = Account::register(&pebble.authority, None, None).await?;
    let (wanted, key) = (names(&["again.example"]), SigningKey::ecdsa()?);
    let key = SigningKey::from_pkcs8(&key.to_pkcs8())?;
    let url = account.order(&wanted, None).await?.url().to_owned();
    let again = async || -> Result<Order> {
        let account = Account::restore(&pebble.authority, &credentials).await?;
        Ok(account.resume(&url).await?)
    };
    let proofs = again().await?.proofs(&[Way::Http]).await?;
    assert_eq!(again().await?.proofs(&[Way::Http]).await?, proofs, "the same proofs");
    for proof in &proofs {
        pebble.answer(proof).await?;
    }
    again().await?.show(&proofs).await?;
    again().await?.show(&proofs).await?;
    assert_eq!(past(&mut again().await?, Progress::Pending).await?, Progress::Proved);
    assert!(again().await?.proofs(&[Way::Http]).await?.is_empty());
    again().await?.request(&wanted, &key).await?;
    assert_eq!(past(&mut again().await?, Progress::Processing).await?, Progress::Issued);
    let chain = again().await?.certificate().await?.context("a certificate")?;
    assert_eq!(again().await?.certificate().await?, Some(chain), "the same one for whoever lost it");
    Ok(())
}

/// What comes of a step when it is done again for as long as the authority is at fault.
async fn insisting<T>(mut step: impl AsyncFnMut() -> Result<T, Fault>) -> Result<T> {
    for _ in 0..100 {
        match step().await {
            Err(fault) if fault.blame == Blame::Nobody => assert_eq!(fault.kind, "badNonce", "{fault}"),
            done => return Ok(done?),
        }
    }
    anyhow::bail!("the authority never took a nonce")
}

#[tokio::test]
async fn an_authority_that_refuses_good_nonces_is_asked_again() -> Result<()> {
    let Some(pebble) = Pebble::start(60).await? else { return Ok(()) };
    let (account, _) = insisting(async || Account::register(&pebble.authority, None, None).await).await?;
    let (wanted, key) = (names(&["nonces.example"]), SigningKey::ecdsa()?);
    let url = insisting(async || account.order(&wanted, None).await).await?.url().to_owned();
    let proofs = insisting(async || account.resume(&url).await?.proofs(&[Way::Http]).await).await?;
    for proof in &proofs {
        pebble.answer(proof).await?;
    }
    insisting(async || account.resume(&url).await?.show(&proofs).await).await?;
    let progress = async || insisting(async || account.resume(&url).await?.refresh().await).await;
    while progress().await? == Progress::Pending {}
    insisting(async || account.resume(&url).await?.request(&wanted, &key).await).await?;
    while progress().await? == Progress::Processing {}
    let chain = insisting(async || account.resume(&url).await?.certificate().await).await?;
    assert_eq!(named(&chain.context("a certificate")?)?, ["DNSName(nonces.example)"]);
    Ok(())
}

#[tokio::test]
async fn faults_say_who_can_mend_them() -> Result<()> {
    let Some(pebble) = Pebble::start(0).await? else { return Ok(()) };
    let (account, _) = Account::register(&pebble.authority, None, None).await?;
    // Nobody answers as the proof wants it.
    let mut order = account.order(&names(&["unanswered.example"]), None).await?;
    let proofs = order.proofs(&[Way::Http]).await?;
    order.show(&proofs).await?;
    let fault = past(&mut order, Progress::Pending).await.unwrap_err();
    let fault = fault.downcast_ref::<Fault>().context("a fault")?;
    assert_eq!(fault.blame, Blame::Owner, "{fault:?}");
    // A wildcard is not proved by HTTP.
    let mut order = account.order(&names(&["*.unanswered.example"]), None).await?;
    assert_eq!(order.proofs(&[Way::Http]).await.unwrap_err().blame, Blame::Operator);
    // What the account has nothing of.
    let broken = SecretString::from("{}");
    assert_eq!(Account::restore(&pebble.authority, &broken).await.unwrap_err().blame, Blame::Operator);
    // Nobody there, and somebody whom nobody vouches for.
    let nowhere = Authority { directory: "https://localhost:1/dir".to_owned(), ..pebble.authority.clone() };
    let fault = Account::register(&nowhere, None, None).await.unwrap_err();
    assert_eq!(fault.blame, Blame::Nobody, "{fault}");
    assert!(fault.text.contains("refused"), "{fault}");
    let stranger = Authority { roots: Roots::Webpki, ..pebble.authority.clone() };
    let fault = Account::register(&stranger, None, None).await.unwrap_err();
    assert!(fault.text.contains("not issued by an authority trusted here; the setting acme.roots"), "{fault}");
    Ok(())
}
