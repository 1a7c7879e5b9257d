//! Claims through the link: what agents are told.

use portway_codes::Code;
use portway_control::DomainPolicy;
use portway_proto::control::v1::{ClaimRequest, ReleaseRequest, Released};
use portway_rpc::{public_error, should_retry};
use portway_store::{Audit, Content, NewResource, Timestamp};

use crate::{Running, add_account, add_credential, sha256};

async fn code(running: &Running, claim: ClaimRequest) -> Option<Code> {
    let status = running.client.claim(claim).await.err()?;
    assert!(!should_retry(&status));
    Some(public_error(&status).unwrap_or_else(|| panic!("no public error in {status:?}")).code)
}

/// A second account with an authtoken; returns a claim by it.
async fn stranger(running: &Running, url: &str) -> ClaimRequest {
    let store = running.store().await;
    let digest = sha256("another token");
    let credential_id = match store.resource_by_key("credential", &digest.to_string()).await.unwrap() {
        Some(there) => there.id,
        None => add_credential(&store, add_account(&store, "other").await, 7, &digest).await.to_string(),
    };
    let account_id = store.accounts().await.unwrap()[1].id.to_string();
    ClaimRequest { account_id, credential_id, ..running.wish(200, url).await }
}

const URL: &str = "https://app.portway.localhost";

#[tokio::test]
async fn a_name_is_claimed_kept_refused_and_given_back() {
    let running = Running::start().await;
    let first = running.client.claim(running.wish(1, URL).await).await.unwrap();
    assert_eq!(first.lease.as_ref().unwrap().url, URL);
    assert_eq!(running.client.claim(running.wish(1, URL).await).await.unwrap(), first);
    assert_eq!(code(&running, running.wish(2, URL).await).await, Some(Code::ERR_NGROK_334));
    assert_eq!(code(&running, stranger(&running, URL).await).await, Some(Code::ERR_NGROK_320));

    let over = ClaimRequest { holder_offline: true, ..running.wish(2, URL).await };
    let second = running.client.claim(over).await.unwrap();
    let release = |reply: &portway_proto::control::v1::ClaimReply| ReleaseRequest {
        leases: vec![Released { lease_id: reply.lease_id.clone(), fence: reply.lease.as_ref().unwrap().fence }],
    };
    running.client.release(release(&first)).await.unwrap();
    assert_eq!(
        code(&running, running.wish(3, URL).await).await,
        Some(Code::ERR_NGROK_334),
        "an old fence does nothing"
    );
    running.client.release(release(&second)).await.unwrap();
    assert_eq!(code(&running, stranger(&running, URL).await).await, Some(Code::ERR_NGROK_320), "the grace time");
    running.client.claim(running.wish(3, URL).await).await.unwrap();
}

#[tokio::test]
async fn the_texts_say_what_to_do() {
    let running = Running::start().await;
    running.client.claim(running.wish(1, URL).await).await.unwrap();
    let status = running.client.claim(running.wish(2, URL).await).await.unwrap_err();
    let text = public_error(&status).unwrap().to_string();
    assert!(text.contains(URL) && text.contains("Stop that agent") && text.ends_with("\n\nERR_NGROK_334"), "{text}");
}

#[tokio::test]
async fn any_name_is_fresh_and_below_the_base_domain() {
    let running = Running::start().await;
    let mut seen = std::collections::HashSet::new();
    for agent in 0..20 {
        let reply = running.client.claim(running.wish(agent, "https://").await).await.unwrap();
        let url = reply.lease.unwrap().url;
        assert!(url.starts_with("https://") && url.ends_with(".portway.localhost"), "{url}");
        assert!(seen.insert(url));
    }
}

#[tokio::test]
async fn a_bare_label_is_below_the_base_domain() {
    let running = Running::start().await;
    let reply = running.client.claim(running.wish(1, "https://app").await).await.unwrap();
    assert_eq!(reply.lease.unwrap().url, URL);
}

#[tokio::test]
async fn names_of_the_installation_and_malformed_claims_are_refused() {
    let running = Running::start().await;
    for url in ["https://connect.portway.localhost", "http://api.portway.localhost"] {
        assert_eq!(code(&running, running.wish(1, url).await).await, Some(Code::ERR_NGROK_347), "{url}");
    }
    for url in ["", "ftp://x", "https://a b", "tcp://", "https://10.0.0.1"] {
        let status = running.client.claim(running.wish(1, url).await).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument, "{url}: {status:?}");
    }
    let short = ClaimRequest { agent_id: vec![1; 3].into(), ..running.wish(1, URL).await };
    assert_eq!(running.client.claim(short).await.unwrap_err().code(), tonic::Code::InvalidArgument);
}

#[tokio::test]
async fn rules_of_the_credential_hold() {
    let running = Running::start().await;
    let admin = portway_control::admin::Admin::open(running.dir.path()).await.unwrap();
    let (id, _) = admin.create_authtoken("", &["bind:only.portway.localhost".to_owned()]).await.unwrap();
    let restricted = |claim: ClaimRequest| ClaimRequest { credential_id: id.to_string(), ..claim };
    assert_eq!(code(&running, restricted(running.wish(1, URL).await)).await, Some(Code::ERR_NGROK_316));
    let allowed = restricted(running.wish(1, "https://only.portway.localhost").await);
    running.client.claim(allowed.clone()).await.unwrap();
    admin.revoke(id).await.unwrap();
    assert_eq!(code(&running, allowed).await, Some(Code::ERR_NGROK_300));
    let foreign = stranger(&running, URL).await;
    let mixed = ClaimRequest { account_id: running.credential().await.1.account_id, ..foreign };
    assert_eq!(code(&running, mixed).await, Some(Code::ERR_NGROK_300), "another account's credential");
}

#[tokio::test]
async fn names_outside_follow_the_policy() {
    let strict = Running::start().await;
    assert_eq!(code(&strict, strict.wish(1, "https://example.com").await).await, Some(Code::ERR_NGROK_319));
    let store = strict.store().await;
    let certified = store.certificates().await.unwrap();
    assert!(!certified.iter().any(|one| one.names.iter().any(|name| name.ends_with("example.com"))));
    let open = Running::start_with(|config| config.domain_policy = DomainPolicy::AnyDomain).await;
    open.client.claim(open.wish(1, "https://example.com").await).await.unwrap();
    assert_eq!(code(&open, stranger(&open, "http://example.com").await).await, Some(Code::ERR_NGROK_320));
}

#[tokio::test]
async fn tcp_addresses_are_stored_as_the_edge_chose_them() {
    let running = Running::start().await;
    let url = "tcp://portway.localhost:20001";
    running.client.claim(running.wish(1, url).await).await.unwrap();
    assert_eq!(code(&running, running.wish(2, url).await).await, Some(Code::ERR_NGROK_334));
    assert_eq!(code(&running, stranger(&running, url).await).await, Some(Code::ERR_NGROK_309));
}

/// A thousand agents come back at once: each has its answer, and they shared transactions.
#[tokio::test]
async fn a_storm_of_claims_is_written_in_batches() {
    let running = Running::start().await;
    let template = running.wish(0, "").await;
    let claims = (0..1000_u16).map(|number| {
        let client = running.client.clone();
        let mut claim = template.clone();
        claim.url = format!("https://n{number}.portway.localhost");
        claim.agent_id = [number.to_be_bytes(); 8].concat().into();
        tokio::spawn(async move { client.claim(claim).await })
    });
    let mut fences = std::collections::HashSet::new();
    for claim in claims.collect::<Vec<_>>() {
        assert!(fences.insert(claim.await.unwrap().unwrap().lease.unwrap().fence));
    }
    let leases = running.store().await.leases().await.unwrap();
    assert_eq!(leases.len(), 1000);
    let moments: std::collections::HashSet<_> = leases.iter().map(|lease| lease.claimed).collect();
    assert!(moments.len() < 500, "claims of one transaction have one time: {} of them", moments.len());
}

#[tokio::test]
async fn what_another_account_has_reserved_is_refused_by_name() {
    let running = Running::start().await;
    let store = running.store().await;
    let own = store.operator_account().await.unwrap().unwrap().id;
    let reserve = async |kind: &str, id: &str, host: Option<&str>, keys: &[&str]| {
        let keys = keys.iter().copied().map(str::to_owned).collect();
        let host = host.map(|host| host.parse().unwrap());
        let content = Content { body: "{}".to_owned(), keys, host, ..Content::default() };
        let new = NewResource { id: id.to_owned(), kind: kind.to_owned(), account: own, followed: false, content };
        store.create_resource(&new, &Audit::default(), Timestamp::now()).await.unwrap();
    };
    reserve("reserved_domain", "rd_1", Some("app.portway.localhost"), &[]).await;
    reserve("reserved_addr", "ra_1", None, &["portway.localhost:20001"]).await;
    for (url, expected) in [
        (URL, Code::ERR_NGROK_320),
        ("https://deep.app.portway.localhost", Code::ERR_NGROK_320),
        ("tcp://portway.localhost:20001", Code::ERR_NGROK_309),
    ] {
        let status = running.client.claim(stranger(&running, url).await).await.unwrap_err();
        let error = public_error(&status).unwrap();
        assert!(error.code == expected && error.to_string().contains("is reserved for another account"), "{error}");
        running.client.claim(running.wish(1, url).await).await.unwrap();
    }
}
