//! Certificates that are ordered: a real authority, which looks for its proofs at a real server, by real DNS.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use portway_agent::{Agent, AgentBuilder, Roots, Status};
use portway_server::{AcmeSettings, Settings};
use portway_testkit::{Behaviour, Client, Cluster, HttpUpstream, Pebble, Resolver, free_ports};
use portway_tls::{client_config, server_name};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Longest wait for something that must happen. No test asserts how fast.
const PATIENCE: Duration = Duration::from_secs(120);
const BASE: &str = "portway.test";
/// Long enough that nothing is renewed by itself.
const LONG: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// A server, the authority that it orders from, and the DNS that both ask.
struct Internet {
    cluster: Cluster,
    pebble: Pebble,
    resolver: Resolver,
    behaviour: Behaviour,
}

impl Internet {
    /// None where there is no authority.
    async fn start(change: impl FnOnce(&mut Behaviour, &mut Settings)) -> Result<Option<Internet>> {
        let Some(mut pebble) = Pebble::plan()? else { return Ok(None) };
        let resolver = Resolver::start().await?;
        let [http, tls] = free_ports()?;
        let at = |port: u16| Some(([127, 0, 0, 1], port).into());
        let acme = AcmeSettings {
            directory: Some(pebble.directory()),
            contact: Some("ops@portway.test".to_owned()),
            roots: Some(pebble.own_root_file()),
            ..AcmeSettings::default()
        };
        let mut settings = Settings {
            domain: Some(BASE.parse()?),
            http_addr: at(http),
            https_addr: at(tls),
            dns_resolver: Some(resolver.address()),
            acme,
            ..Settings::default()
        };
        let dns = resolver.address();
        let mut behaviour = Behaviour { http, tls, dns, refused_nonces: 0, validity: LONG, external_accounts: false };
        change(&mut behaviour, &mut settings);
        let cluster = Cluster::with(settings).await?;
        resolver.delegate(BASE, cluster.ready().dns_addr)?;
        pebble.start(&behaviour).await?;
        Ok(Some(Internet { cluster, pebble, resolver, behaviour }))
    }

    /// The same after its server was stopped and started again with these settings.
    async fn restart(self, acme: AcmeSettings) -> Result<Internet> {
        let Internet { cluster, pebble, resolver, behaviour } = self;
        let settings = Settings {
            domain: Some(BASE.parse()?),
            dns_resolver: Some(resolver.address()),
            acme,
            ..cluster.same_addresses()
        };
        let cluster = Cluster::restart(cluster.stop().await?, settings).await?;
        resolver.delegate(BASE, cluster.ready().dns_addr)?;
        Ok(Internet { cluster, pebble, resolver, behaviour })
    }

    /// What vouches for the certificates that the authority issues, PEM.
    async fn root(&self) -> Result<Vec<u8>> {
        let at = self.pebble.management();
        let client = Client::new(self.pebble.own_root().as_bytes(), at, at);
        let root = client.get(&format!("https://localhost:{}/roots/0", at.port())).await?;
        ensure!(root.status == 200, "{root:?}");
        Ok(root.body.to_vec())
    }

    /// A visitor who trusts the authority alone.
    async fn visitor(&self) -> Result<Client> {
        let ready = self.cluster.ready();
        Ok(Client::new(&self.root().await?, ready.https_addr, ready.http_addr))
    }

    /// Reserves a domain and makes the records that it needs.
    async fn reserve(&self, domain: &str) -> Result<Value> {
        let made = self.cluster.done("POST", "/reserved_domains", json!({"domain": domain})).await?;
        self.resolver.alias(domain, text(&made, "cname_target"))?;
        if let Some(above) = domain.strip_prefix("*.") {
            self.resolver.alias(&format!("_acme-challenge.{above}"), text(&made, "acme_challenge_cname_target"))?;
        }
        Ok(made)
    }

    /// The resource, when it is as wanted.
    async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = Value::Null;
        let waiting = async {
            loop {
                last = self.cluster.done("GET", path, Value::Null).await?;
                if wanted(&last) {
                    return Ok::<_, anyhow::Error>(());
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        match timeout(PATIENCE, waiting).await {
            Ok(done) => done?,
            Err(_) => anyhow::bail!("it never was as wanted: {last}"),
        }
        Ok(last)
    }

    async fn issued(&self, path: &str) -> Result<Value> {
        self.until(path, is_issued).await
    }

    /// Waits until visitors are shown a certificate of the authority: edges get it a moment after the interface says that it is there.
    async fn is_presented(&self, name: &str) -> Result<()> {
        let root = self.root().await?;
        let waiting = async {
            while !self.accepts(name, &root).await? {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        };
        timeout(PATIENCE, waiting).await.with_context(|| format!("{name} is never presented"))?
    }

    /// Whether a handshake with a name succeeds for who trusts these roots alone.
    async fn accepts(&self, name: &str, roots: &[u8]) -> Result<bool> {
        let config = client_config(&portway_tls::Roots::Pem(roots.to_vec()), &[])?;
        let tcp = TcpStream::connect(self.cluster.ready().https_addr).await?;
        Ok(TlsConnector::from(config).connect(server_name(&name.parse()?), tcp).await.is_ok())
    }

    /// An agent that dials a connect URL.
    fn dialling(&self, host: &str, roots: Vec<u8>) -> AgentBuilder {
        let ready = self.cluster.ready();
        let url = format!("{host}:{}", ready.https_addr.port());
        self.cluster.agent().connect_url(url).addresses([ready.connect_addr]).roots(Roots::Pem(roots))
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn path(made: &Value) -> String {
    text(made, "uri")
        .split_once("/reserved_domains")
        .map(|(_, rest)| format!("/reserved_domains{rest}"))
        .unwrap_or_default()
}

fn is_issued(resource: &Value) -> bool {
    let status = &resource["certificate_management_status"];
    status["provisioning_job"].is_null() && status["renews_at"].is_string()
}

fn job(resource: &Value) -> &Value {
    &resource["certificate_management_status"]["provisioning_job"]
}

/// An endpoint of the first account, for as long as this lives.
async fn publish(cluster: &Cluster, url: &str, upstream: &HttpUpstream) -> Result<(Agent, portway_agent::Endpoint)> {
    let agent = cluster.agent().connect().await?;
    let endpoint = agent.http().url(url).forward_to(&upstream.url()).await?;
    Ok((agent, endpoint))
}

#[tokio::test]
async fn a_reserved_domain_gets_its_certificate_and_visitors_see_it() -> Result<()> {
    let Some(internet) = Internet::start(|_, _| {}).await? else { return Ok(()) };
    let upstream = HttpUpstream::start().await?;
    let made = internet.reserve("app.customer.test").await?;
    assert_eq!(job(&made)["msg"], "Managed certificate provisioning in progress.");
    assert!(job(&made)["error_code"].is_null() && made["certificate"].is_null(), "{made}");
    let root = internet.root().await?;
    let _online = publish(&internet.cluster, "https://app.customer.test", &upstream).await?;
    // Until then it is the internal CA's, which visitors do not trust.
    let issued = internet.issued(&path(&made)).await?;
    let id = text(&issued["certificate"], "id").to_owned();
    let certificate = internet.cluster.done("GET", &format!("/tls_certificates/{id}"), Value::Null).await?;
    assert!(certificate["issued_at"].is_string(), "{certificate}");
    assert_eq!(certificate["subject_alternative_names"]["dns_names"], json!(["app.customer.test"]));
    assert_eq!((text(&certificate, "private_key_type"), certificate["private_key_pem"].is_null()), ("ecdsa", true));
    internet.is_presented("app.customer.test").await?;
    assert_eq!(internet.visitor().await?.get("https://app.customer.test/").await?.status, 200);
    // Below it nobody has a certificate.
    assert!(!internet.accepts("x.app.customer.test", &root).await?);
    // It cannot be taken away from under the domain.
    let (status, refused) = internet.cluster.api("DELETE", &format!("/tls_certificates/{id}"), Value::Null).await?;
    assert_eq!((status, text(&refused, "error_code")), (409, "ERR_NGROK_1966"));
    let at = format!("{}/certificate", path(&made));
    let (status, refused) = internet.cluster.api("DELETE", &at, Value::Null).await?;
    assert_eq!((status, text(&refused, "error_code")), (400, "ERR_NGROK_436"));
    // Nothing of it is left when the domain is given up.
    internet.cluster.done("DELETE", &path(&made), Value::Null).await?;
    assert_eq!(internet.cluster.api("GET", &format!("/tls_certificates/{id}"), Value::Null).await?.0, 404);
    Ok(())
}

#[tokio::test]
async fn where_port_80_leads_nowhere_the_name_is_proved_by_tls() -> Result<()> {
    let [closed] = free_ports()?;
    let elsewhere = |behaviour: &mut Behaviour, _: &mut Settings| behaviour.http = closed;
    let Some(internet) = Internet::start(elsewhere).await? else { return Ok(()) };
    let made = internet.reserve("app.customer.test").await?;
    let refused = internet.until(&path(&made), |domain| !job(domain)["error_code"].is_null()).await?;
    assert_eq!(job(&refused)["error_code"], "DNS_ERROR");
    assert!(text(job(&refused), "msg").contains(&closed.to_string()), "{refused}");
    // The owner has another look; by itself it would be tried in some minutes.
    let again = json!({"certificate_management_policy": made["certificate_management_policy"]});
    internet.cluster.done("PATCH", &path(&made), again).await?;
    internet.issued(&path(&made)).await?;
    internet.is_presented("app.customer.test").await
}

#[tokio::test]
async fn a_wildcard_is_proved_by_dns() -> Result<()> {
    let Some(internet) = Internet::start(|_, _| {}).await? else { return Ok(()) };
    let made = internet.reserve("*.customer1.test").await?;
    let root = internet.root().await?;
    let issued = internet.issued(&path(&made)).await?;
    let certificate = format!("/tls_certificates/{}", text(&issued["certificate"], "id"));
    let certificate = internet.cluster.done("GET", &certificate, Value::Null).await?;
    assert_eq!(certificate["subject_alternative_names"]["dns_names"], json!(["*.customer1.test"]));
    let upstream = HttpUpstream::start().await?;
    let _online = publish(&internet.cluster, "https://*.customer1.test", &upstream).await?;
    internet.is_presented("app.customer1.test").await?;
    assert_eq!(internet.visitor().await?.get("https://app.customer1.test/").await?.status, 200);
    for other in ["customer1.test", "x.y.customer1.test", "evilcustomer1.test"] {
        assert!(!internet.accepts(other, &root).await?, "{other}");
    }
    Ok(())
}

#[tokio::test]
async fn a_connect_url_gets_a_public_certificate_and_agents_use_it() -> Result<()> {
    let Some(internet) = Internet::start(|_, _| {}).await? else { return Ok(()) };
    let policy = json!({"authority": "letsencrypt", "private_key_type": "ecdsa"});
    let body = json!({"domain": "connect.customer.test", "certificate_management_policy": policy});
    let made = internet.cluster.done("POST", "/agent_ingresses", body).await?;
    let at = format!("/agent_ingresses/{}", text(&made, "id"));
    // Before it is delegated it has the internal CA's, and says what is to be done.
    let waiting = internet.until(&at, |ingress| !job(ingress)["error_code"].is_null()).await?;
    assert_eq!(job(&waiting)["error_code"], "DNS_ERROR");
    assert!(
        text(job(&waiting), "msg").contains("ERR_NGROK_6702") && job(&waiting)["retries_at"].is_null(),
        "{waiting}"
    );
    internet.dialling("connect.customer.test", internet.cluster.ca().to_vec()).connect().await?.close().await;
    internet.resolver.delegate("connect.customer.test", internet.cluster.ready().dns_addr)?;
    internet.issued(&at).await?;
    let root = internet.root().await?;
    for host in ["connect.customer.test", "local.connect.customer.test"] {
        internet.is_presented(host).await?;
        internet.dialling(host, root.clone()).connect().await.with_context(|| host)?.close().await;
    }
    Ok(())
}

#[tokio::test]
async fn a_delegation_that_goes_away_stops_renewals_until_it_is_back() -> Result<()> {
    let short = |behaviour: &mut Behaviour, _: &mut Settings| behaviour.validity = Duration::from_secs(30);
    let Some(internet) = Internet::start(short).await? else { return Ok(()) };
    let host = "connect.customer.test";
    internet.resolver.delegate(host, internet.cluster.ready().dns_addr)?;
    let policy = json!({"authority": "letsencrypt"});
    let body = json!({"domain": host, "certificate_management_policy": policy});
    let made = internet.cluster.done("POST", "/agent_ingresses", body).await?;
    let at = format!("/agent_ingresses/{}", text(&made, "id"));
    internet.issued(&at).await?;
    internet.is_presented(host).await?;
    let agent = internet.dialling(host, internet.root().await?).connect().await?;

    internet.resolver.undelegate(host)?;
    let stuck = internet.until(&at, |ingress| job(ingress)["error_code"] == "DNS_ERROR").await?;
    assert!(text(job(&stuck), "msg").contains("ERR_NGROK_6702"), "{stuck}");
    assert!(matches!(*agent.status().borrow(), Status::Online(_)), "a session does not depend on it");
    internet.resolver.delegate(host, internet.cluster.ready().dns_addr)?;
    internet.issued(&at).await?;
    assert!(matches!(*agent.status().borrow(), Status::Online(_)), "nor on a new certificate");
    internet.is_presented(host).await
}

#[tokio::test]
async fn what_an_owner_has_to_mend_is_said_and_seen_when_it_is_mended() -> Result<()> {
    let Some(internet) = Internet::start(|_, _| {}).await? else { return Ok(()) };
    let domain = "shop.customer.test";
    let made = internet.cluster.done("POST", "/reserved_domains", json!({"domain": domain})).await?;
    let (at, target) = (path(&made), text(&made, "cname_target").to_owned());
    let says = async |part: &str| {
        // The same policy once more: look now.
        let again = json!({"certificate_management_policy": made["certificate_management_policy"]});
        internet.cluster.done("PATCH", &at, again).await?;
        internet.until(&at, |domain| text(job(domain), "msg").contains(part)).await.with_context(|| part.to_owned())
    };
    let missing = says("ERR_NGROK_425").await?;
    assert_eq!(job(&missing)["error_code"], "DNS_ERROR");
    assert!(text(job(&missing), "msg").contains(&target), "it says which record: {missing}");
    internet.resolver.address_of(domain, [192, 0, 2, 1].into())?;
    says("192.0.2.1").await?;
    internet.resolver.alias(domain, "elsewhere.test")?;
    says("ERR_NGROK_427").await?;
    // The target of another domain of this installation is not this one's.
    let other = internet.cluster.done("POST", "/reserved_domains", json!({"domain": "other.customer.test"})).await?;
    internet.resolver.alias(domain, text(&other, "cname_target"))?;
    says(text(&other, "cname_target")).await?;
    internet.resolver.alias("between.test", &target)?;
    internet.resolver.alias(domain, "between.test")?;
    // Nothing is ordered meanwhile: the authority would count it.
    let issued = internet.issued(&at).await?;
    assert!(issued["certificate"]["id"].is_string());
    Ok(())
}

#[tokio::test]
async fn certificates_are_renewed_and_the_old_ones_go() -> Result<()> {
    let short = |behaviour: &mut Behaviour, settings: &mut Settings| {
        behaviour.validity = Duration::from_secs(30);
        settings.acme.orders_per_hour = 2.try_into().ok();
    };
    let Some(internet) = Internet::start(short).await? else { return Ok(()) };
    let upstream = HttpUpstream::start().await?;
    let made = internet.reserve("app.customer.test").await?;
    let _online = publish(&internet.cluster, "https://app.customer.test", &upstream).await?;
    let first = internet.until(&path(&made), |domain| domain["certificate"]["id"].is_string()).await?;
    let first = text(&first["certificate"], "id").to_owned();
    let second = internet.until(&path(&made), |domain| text(&domain["certificate"], "id") != first).await?;
    assert!(second["certificate"]["id"].is_string(), "there is always one: {second}");
    assert_eq!(internet.cluster.api("GET", &format!("/tls_certificates/{first}"), Value::Null).await?.0, 404);
    assert_eq!(internet.visitor().await?.get("https://app.customer.test/").await?.status, 200);
    // Renewals do not count: the account may order a second one.
    let second = internet.reserve("second.customer.test").await?;
    internet.until(&path(&second), |domain| domain["certificate"]["id"].is_string()).await?;
    Ok(())
}

#[tokio::test]
async fn an_authority_that_is_away_or_forgets_is_waited_for() -> Result<()> {
    let refusing = |behaviour: &mut Behaviour, _: &mut Settings| behaviour.refused_nonces = 20;
    let Some(mut internet) = Internet::start(refusing).await? else { return Ok(()) };
    internet.issued(&path(&internet.reserve("first.customer.test").await?)).await?;
    internet.pebble.stop();
    let made = internet.reserve("second.customer.test").await?;
    let waiting = internet.until(&path(&made), |domain| !job(domain)["error_code"].is_null()).await?;
    assert_eq!(job(&waiting)["error_code"], "INTERNAL_ERROR");
    assert!(job(&waiting)["retries_at"].is_string(), "{waiting}");
    // It comes back, and knows neither the account nor any order.
    internet.pebble.start(&internet.behaviour.clone()).await?;
    internet.issued(&path(&made)).await?;
    Ok(())
}

#[tokio::test]
async fn accounts_order_only_so_many_and_with_whom_they_may() -> Result<()> {
    let limited = |behaviour: &mut Behaviour, settings: &mut Settings| {
        behaviour.external_accounts = true;
        settings.acme.orders_per_hour = 1.try_into().ok();
        settings.acme.eab_key_id = Some("kid-1".to_owned());
        settings.acme.eab_key = Some(Pebble::EXTERNAL_KEY.into());
    };
    let Some(internet) = Internet::start(limited).await? else { return Ok(()) };
    internet.issued(&path(&internet.reserve("first.customer.test").await?)).await?;
    let made = internet.reserve("second.customer.test").await?;
    let waiting = internet.until(&path(&made), |domain| !job(domain)["error_code"].is_null()).await?;
    assert_eq!(job(&waiting)["error_code"], "INTERNAL_ERROR");
    assert!(text(job(&waiting), "msg").contains("limit"), "{waiting}");
    Ok(())
}

#[tokio::test]
async fn nothing_of_a_released_name_is_its_next_owners() -> Result<()> {
    let Some(internet) = Internet::start(|_, _| {}).await? else { return Ok(()) };
    let (cluster, root) = (&internet.cluster, internet.root().await?);
    let made = internet.reserve("app.customer.test").await?;
    internet.issued(&path(&made)).await?;
    internet.is_presented("app.customer.test").await?;
    let other = cluster.done("POST", "/portway/v1/accounts", json!({"name": "other"})).await?;
    let key = text(&other, "token").to_owned();
    let theirs = async |method: &str, path: &str, body: Value| cluster.api_as(&key, method, path, body).await;
    let wanted = json!({"domain": "app.customer.test"});
    assert_eq!(theirs("POST", "/reserved_domains", wanted.clone()).await?.0, 409, "it is not released yet");
    cluster.done("DELETE", &path(&made), Value::Null).await?;
    let (status, taken) = theirs("POST", "/reserved_domains", wanted).await?;
    assert_eq!((status, taken["certificate"].is_null()), (201, true), "{taken}");
    assert_ne!(taken["cname_target"], made["cname_target"]);
    // The record still leads to what the first account had: the second one proves nothing by it, and its visitors are shown no such certificate.
    let waiting = async {
        loop {
            let (_, domain) = theirs("GET", &path(&taken), Value::Null).await?;
            if !job(&domain)["error_code"].is_null() {
                return Ok::<_, anyhow::Error>(domain);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let waiting = timeout(PATIENCE, waiting).await??;
    assert!(text(job(&waiting), "msg").contains("ERR_NGROK_427"), "{waiting}");
    assert!(!internet.accepts("app.customer.test", &root).await?);
    assert_eq!(theirs("GET", "/tls_certificates", Value::Null).await?.1["tls_certificates"], json!([]));
    Ok(())
}

#[tokio::test]
async fn what_was_wanted_before_there_was_an_authority_is_ordered_when_there_is_one() -> Result<()> {
    let mut acme = AcmeSettings::default();
    let without = |_: &mut Behaviour, settings: &mut Settings| std::mem::swap(&mut acme, &mut settings.acme);
    let Some(internet) = Internet::start(without).await? else { return Ok(()) };
    let made = internet.reserve("app.customer.test").await?;
    assert!(text(job(&made), "msg").contains("acme.directory"), "{made}");
    let internet = internet.restart(acme).await?;
    internet.issued(&path(&made)).await?;
    internet.is_presented("app.customer.test").await
}

#[tokio::test]
async fn the_base_domain_has_ordered_certificates_where_the_operator_wants_them() -> Result<()> {
    let mut acme = AcmeSettings::default();
    let with = |_: &mut Behaviour, settings: &mut Settings| {
        settings.acme.base_domain = Some(true);
        acme = settings.acme.clone();
    };
    let Some(internet) = Internet::start(with).await? else { return Ok(()) };
    let (root, app) = (internet.root().await?, format!("app.{BASE}"));
    let upstream = HttpUpstream::start().await?;
    // Agents trust the internal CA, as before.
    let online = publish(&internet.cluster, &format!("https://{app}"), &upstream).await?;
    internet.is_presented(&app).await?;
    internet.is_presented(BASE).await?;
    assert_eq!(internet.visitor().await?.get(&format!("https://{app}/")).await?.status, 200);
    for other in [format!("connect.{BASE}"), format!("x.{app}"), format!("evil{BASE}")] {
        assert!(!internet.accepts(&other, &root).await?, "{other}");
    }
    let certificates = |list: Value| list["tls_certificates"].as_array().map_or(0, Vec::len);
    assert_eq!(certificates(internet.cluster.done("GET", "/tls_certificates", Value::Null).await?), 2);
    assert_eq!(internet.cluster.done("GET", "/reserved_domains", Value::Null).await?["reserved_domains"], json!([]));

    // They are kept over a restart, and go when they are not wanted any more.
    drop(online);
    let internet = internet.restart(acme.clone()).await?;
    assert_eq!(certificates(internet.cluster.done("GET", "/tls_certificates", Value::Null).await?), 2);
    internet.is_presented(&app).await?;
    acme.base_domain = None;
    let internet = internet.restart(acme).await?;
    assert_eq!(certificates(internet.cluster.done("GET", "/tls_certificates", Value::Null).await?), 0);
    let own = internet.cluster.ca().to_vec();
    assert!(internet.accepts(&app, &own).await? && !internet.accepts(&app, &root).await?);
    Ok(())
}
