//! Who is found under a name, and who has to give it up.

use portway_mux::{Role, Session, SessionConfig, over_tls};
use portway_names::{EndpointId, Ksuid, SessionId};
use portway_proto::AgentId;

use super::*;
use crate::endpoint::{Address, EndpointCounters, EndpointOptions, Holder, OpenFault};

/// A session whose peer stays silent.
fn session() -> (Session, tokio::io::DuplexStream) {
    let (ours, theirs) = tokio::io::duplex(1024);
    let nowhere = "127.0.0.1:1".parse().unwrap();
    (over_tls(ours, Role::Edge, SessionConfig::edge(), nowhere, nowhere), theirs)
}

fn ksuid(n: u8) -> Ksuid {
    Ksuid::from_parts(1_700_000_000, [n; 16])
}

struct Claim {
    url: &'static str,
    account: u8,
    agent: u8,
    generation: u64,
    fence: u64,
    session: u8,
}

const FIRST: Claim =
    Claim { url: "https://app.example.com", account: 1, agent: 1, generation: 1, fence: 1, session: 1 };

fn endpoint(session: &Session, claim: &Claim) -> Arc<Endpoint> {
    Arc::new(Endpoint {
        id: EndpointId::new(ksuid(9)),
        url: claim.url.parse().unwrap(),
        account: AccountId::new(ksuid(claim.account)),
        handle: 1,
        address: Address::Native,
        internal: false,
        pooled: false,
        since: std::time::SystemTime::now(),
        about: Default::default(),
        session: crate::link::AgentLink::Mux(session.clone()),
        shares: crate::shares::Shares::of_session(&crate::Limits::default(), 8),
        shard: 0,
        holder: Holder {
            lessee: AgentId::new([claim.agent; 16]),
            agent: AgentId::new([claim.agent; 16]),
            leg: 0,
            generation: claim.generation,
            fence: claim.fence,
            session_id: SessionId::new(ksuid(claim.session)),
        },
        options: EndpointOptions::default(),
        counters: EndpointCounters::default(),
    })
}

fn host(name: &str) -> HostName {
    name.parse().unwrap()
}

#[tokio::test]
async fn the_longest_match_serves_and_schemes_are_apart() {
    let (session, _peer) = session();
    let routes = Routes::default();
    for url in
        ["https://*.example.com", "tls://*.shop.example.com", "https://a.shop.example.com", "http://a.example.com"]
    {
        routes.insert(endpoint(&session, &Claim { url, ..FIRST })).unwrap();
    }
    let sni = |name: &str| routes.sni(&host(name)).map(|endpoint| endpoint.url.to_string());
    assert_eq!(sni("x.example.com").as_deref(), Some("https://*.example.com"));
    assert_eq!(sni("x.shop.example.com").as_deref(), Some("tls://*.shop.example.com"));
    assert_eq!(sni("a.shop.example.com").as_deref(), Some("https://a.shop.example.com"));
    assert_eq!(sni("example.com"), None);
    assert_eq!(sni("evilexample.com"), None);
    assert!(routes.http(Scheme::Http, &host("a.example.com")).is_some());
    assert!(routes.http(Scheme::Http, &host("b.example.com")).is_none());
    assert!(routes.http(Scheme::Https, &host("x.shop.example.com")).is_none(), "a tls endpoint hides the wildcard");
    assert_eq!((routes.len(), routes.all().len()), (4, 4));
}

#[tokio::test]
async fn names_give_way_by_fence_and_generation_only() {
    let (one, _peer) = session();
    let (two, _other_peer) = session();
    let late = Claim { generation: 1, session: 2, ..FIRST };
    let cases = [
        ("a newer session of the agent", Claim { generation: 3, session: 2, ..FIRST }, true),
        ("a second session that counts the same", Claim { generation: 2, session: 2, ..FIRST }, true),
        ("a late session of the agent", Claim { fence: 9, ..late }, false),
        ("the same session again", Claim { generation: 2, ..FIRST }, false),
        ("another agent with the same fence", Claim { agent: 2, session: 2, ..FIRST }, false),
        ("another agent with a newer fence", Claim { agent: 2, session: 2, fence: 2, ..FIRST }, true),
        ("another account with a newer fence", Claim { account: 2, session: 2, fence: 2, ..FIRST }, true),
        (
            "tls of another agent",
            Claim { url: "tls://app.example.com", agent: 2, session: 2, fence: 9, ..FIRST },
            false,
        ),
    ];
    for (what, claim, wins) in cases {
        let routes = Routes::default();
        routes.insert(endpoint(&one, &Claim { generation: 2, ..FIRST })).unwrap();
        assert_eq!(routes.insert(endpoint(&two, &claim)).is_ok(), wins, "{what}");
    }
}

#[tokio::test]
async fn a_closed_session_holds_nothing() {
    let (one, _peer) = session();
    let (two, _other_peer) = session();
    let routes = Routes::default();
    let old = endpoint(&one, &FIRST);
    routes.insert(Arc::clone(&old)).unwrap();
    one.abort();
    one.closed().await;
    let new = endpoint(&two, &Claim { agent: 2, session: 2, ..FIRST });
    let replaced = routes.insert(Arc::clone(&new)).unwrap();
    assert!(matches!(&replaced[..], [gone] if Arc::ptr_eq(gone, &old)));
    assert!(!routes.remove(&old), "the name is the new one's");
    assert!(routes.remove(&new) && routes.len() == 0);
    assert!(matches!(old.open(one.peer_addr(), one.local_addr()).await, Err(OpenFault::Offline)));
}
