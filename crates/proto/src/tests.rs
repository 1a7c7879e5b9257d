//! Values go through bytes and come back; what peers could send wrong is refused by field.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use portway_access::{Acl, IpAction, RestrictionType};
use portway_codes::{Code, PublicError};
use portway_names::{
    AccountId, CertificateAuthorityId, CredentialId, HostNameError, IpPolicyId, IpPolicyRuleId, IpRestrictionId, Ksuid,
    LeaseId, Scheme, WantedUrlError,
};
use proptest::prelude::*;
use prost::Message;
use secrecy::ExposeSecret;

use crate::agent::v1::{AgentMessage, Bind, Command, ConnectionHead, EdgeMessage, Hello, Unbind, agent_message};
use crate::control::v1::{
    AgentSession, Certificate, ClaimRequest, EdgeInfo, IpPolicy, IpPolicyRule, IpRestriction, Lease, OnlineEndpoint,
    OnlineItem, Resource, Update, edge_command, online_item, resource::Body,
};
use crate::{
    AddressError, AgentCommand, AgentHello, AgentId, BindRequest, CertificateAuthorityRecord, CertificateName,
    CertificateRecord, Claim, ConnectNameRecord, CredentialRecord, EdgeRecord, EndpointRecord, FieldError, FieldFault,
    HelloError, IpPolicyRecord, IpPolicyRuleRecord, IpRestrictionRecord, LeaseRecord, MAX_DESCRIPTION_LEN,
    MAX_METADATA_LEN, MAX_VERSION_LEN, OnlineRecord, ProofRecord, ProxyVersion, RecordError, ReplicaRecord,
    ReservedDomainRecord, SessionProtocol, SessionRecord, SettingsRecord, VERSION_MAJOR,
};

fn through_bytes<M: Message + Default>(message: &M) -> M {
    M::decode(message.encode_to_vec().as_slice()).unwrap()
}

fn bind(url: &str) -> Bind {
    Bind { request: 7, url: url.to_owned(), ..Bind::default() }
}

fn refused(message: Bind) -> FieldError {
    BindRequest::try_from(message).unwrap_err()
}

fn hello() -> Hello {
    Hello {
        version_major: VERSION_MAJOR,
        authtoken: "2Yt0000000000000000000000ab_secret".to_owned(),
        agent_id: Bytes::from_static(&[7; 16]),
        generation: 1,
        ..Hello::default()
    }
}

#[test]
fn a_bind_of_the_least_means_the_defaults() {
    let request = BindRequest::try_from(bind("https://")).unwrap();
    assert_eq!(request, BindRequest::new("https://".parse().unwrap()));
    assert_eq!(request.to_message(7), bind("https://"));
}

#[test]
fn a_bind_names_the_field_that_is_wrong() {
    let cases = [
        (bind(""), "url", Code::ERR_NGROK_326),
        (bind("ssh://x"), "url", Code::ERR_NGROK_332),
        (bind("https://10.0.0.1"), "url", Code::ERR_NGROK_330),
        (bind("https://a_b c.com"), "url", Code::ERR_NGROK_327),
        (bind("https://a..com"), "url", Code::ERR_NGROK_331),
        (bind("https://a.*.com"), "url", Code::ERR_NGROK_329),
        (bind("https://-a.com"), "url", Code::ERR_NGROK_355),
        (bind(&format!("https://{}.com", "a".repeat(64))), "url", Code::ERR_NGROK_328),
        (Bind { upstream_protocol: 9, ..bind("https://") }, "upstream_protocol", Code::ERR_PORTWAY_40004),
        (Bind { upstream_protocol: 2, ..bind("tcp://") }, "upstream_protocol", Code::ERR_PORTWAY_40004),
        (Bind { proxy_protocol: 3, ..bind("tcp://") }, "proxy_protocol", Code::ERR_PORTWAY_40004),
        (Bind { tls_termination: -1, ..bind("tls://") }, "tls_termination", Code::ERR_PORTWAY_40004),
        (Bind { tls_termination: 2, ..bind("https://") }, "tls_termination", Code::ERR_PORTWAY_40004),
        (Bind { host_header: "a b".into(), ..bind("https://") }, "host_header", Code::ERR_PORTWAY_40004),
        (Bind { host_header: "a\r\nX: y".into(), ..bind("https://") }, "host_header", Code::ERR_PORTWAY_40004),
        (Bind { host_header: "a".into(), ..bind("tls://") }, "host_header", Code::ERR_PORTWAY_40004),
        (Bind { metadata: "x".repeat(MAX_METADATA_LEN + 1), ..bind("tcp://") }, "metadata", Code::ERR_NGROK_301),
        (Bind { description: "x".repeat(256), ..bind("tcp://") }, "description", Code::ERR_NGROK_301),
        (Bind { name: "x".repeat(256), ..bind("tcp://") }, "name", Code::ERR_NGROK_301),
        (Bind { forwards_to: "x".repeat(1025), ..bind("tcp://") }, "forwards_to", Code::ERR_NGROK_301),
    ];
    for (message, field, code) in cases {
        let error = refused(message);
        assert_eq!((error.field, error.bind_code()), (field, code), "{error}");
        assert!(error.to_bind_refusal().text.contains(field));
    }
    assert_eq!(refused(bind("1.2.3.4")).fault, FieldFault::WantedUrl(WantedUrlError::Address));
    let error = refused(Bind { host_header: "a@b".into(), ..bind("http://") });
    assert_eq!(error.fault, FieldFault::Host(HostNameError::BadCharacter('@')));
    let longest = Bind { description: "x".repeat(MAX_DESCRIPTION_LEN), ..bind("tcp://") };
    assert!(BindRequest::try_from(longest).is_ok());
}

#[test]
fn a_hello_that_cannot_begin_a_session_says_why() {
    let refused = |message: Hello| AgentHello::try_from(message).unwrap_err();
    let error = refused(Hello { version_major: 2, version_minor: 4, ..hello() });
    assert_eq!((&error, error.code()), (&HelloError::Version { major: 2, minor: 4 }, Code::ERR_NGROK_120));
    let text = PublicError::from(&error).text;
    assert!(text.contains("2.4") && text.contains("Update the server"), "{text}");
    assert!(PublicError::from(&refused(Hello { version_major: 0, ..hello() })).text.contains("Update the agent"));
    let id = "2Yt0000000000000000000000ab";
    for authtoken in [
        String::new(),
        "wrong".into(),
        id.into(),
        format!("{id}_"),
        format!("{id}_sec ret"),
        format!("{id}_secret\n"),
        format!("{id}_sécret"),
        format!("{id}0_secret"),
        format!("{}_secret", &id[1..]),
        format!("{id}_{}", "x".repeat(485)),
    ] {
        let error = refused(Hello { authtoken, ..hello() });
        assert_eq!((&error, error.code()), (&HelloError::Authtoken, Code::ERR_NGROK_105));
    }
    let cases = [
        (Hello { agent_id: Bytes::new(), ..hello() }, Code::ERR_NGROK_109),
        (Hello { agent_id: Bytes::from_static(&[0; 17]), ..hello() }, Code::ERR_NGROK_109),
        (Hello { os: "x".repeat(256), ..hello() }, Code::ERR_NGROK_109),
        (Hello { metadata: "x".repeat(MAX_METADATA_LEN + 1), ..hello() }, Code::ERR_NGROK_100),
        (Hello { heartbeat_interval_ms: 999, ..hello() }, Code::ERR_NGROK_111),
        (Hello { heartbeat_tolerance_ms: 300_001, ..hello() }, Code::ERR_NGROK_112),
    ];
    for (message, code) in cases {
        assert_eq!(refused(message).code(), code);
    }
    let newer = AgentHello::try_from(Hello { version_minor: 99, heartbeat_interval_ms: 10_000, ..hello() }).unwrap();
    assert_eq!(newer.heartbeat_interval, Some(Duration::from_secs(10)));
    assert_eq!(newer.heartbeat_tolerance, None);
}

#[test]
fn secrets_are_not_shown() {
    let message = AgentMessage { message: Some(agent_message::Message::Hello(hello())) };
    assert!(!format!("{message:?}").contains("2abc_secret"));
    assert!(!format!("{:?}", AgentHello::try_from(hello()).unwrap()).contains("2abc_secret"));
    let certificate = Certificate { private_key: Bytes::from_static(b"PRIVATE"), ..Certificate::default() };
    assert!(
        !format!("{:?}", Resource { id: "cert".into(), body: Some(Body::Certificate(certificate)) }).contains("PRIV")
    );
}

#[test]
fn addresses_of_sockets_for_both_families_become_plain() {
    let head = ConnectionHead::new(1, "[::ffff:10.0.0.1]:5".parse().unwrap(), "[2001:db8::1]:443".parse().unwrap());
    assert_eq!(head.client(), Ok("10.0.0.1:5".parse().unwrap()));
    assert_eq!(head.server(), Ok("[2001:db8::1]:443".parse().unwrap()));
    let wrong = ConnectionHead { client_port: 65_536, server_ip: Bytes::from_static(&[1, 2, 3]), ..head };
    assert_eq!(wrong.client(), Err(AddressError::Port(65_536)));
    assert_eq!(wrong.server(), Err(AddressError::Length(3)));
}

/// Field 1000, length-delimited, and field 1001, varint: numbers that no message here uses.
const UNKNOWN_FIELDS: &[u8] = &[0xC2, 0x3E, 0x03, b'n', b'e', b'w', 0xC8, 0x3E, 0x2A];

#[test]
fn unknown_fields_are_skipped() {
    let message = AgentMessage { message: Some(agent_message::Message::Unbind(Unbind { endpoint: 3 })) };
    let mut bytes = message.encode_to_vec();
    bytes.extend_from_slice(UNKNOWN_FIELDS);
    assert_eq!(AgentMessage::decode(bytes.as_slice()).unwrap(), message);

    let mut inner = bind("https://app").encode_to_vec();
    inner.extend_from_slice(UNKNOWN_FIELDS);
    assert_eq!(Bind::decode(inner.as_slice()).unwrap(), bind("https://app"));

    let head = ConnectionHead::new(1, "10.0.0.1:5".parse().unwrap(), "10.0.0.2:6".parse().unwrap());
    let mut bytes = head.encode_to_vec();
    bytes.extend_from_slice(UNKNOWN_FIELDS);
    assert_eq!(ConnectionHead::decode(bytes.as_slice()).unwrap(), head);
}

#[test]
fn unknown_members_of_a_oneof_are_skipped() {
    assert_eq!(AgentMessage::decode(UNKNOWN_FIELDS).unwrap().message, None);
    assert_eq!(EdgeMessage::decode(UNKNOWN_FIELDS).unwrap().message, None);
    assert_eq!(Update::decode(UNKNOWN_FIELDS).unwrap().change, None);
    let mut bytes = Resource { id: "new_1".into(), body: None }.encode_to_vec();
    bytes.extend_from_slice(UNKNOWN_FIELDS);
    let error = ReplicaRecord::try_from(Resource::decode(bytes.as_slice()).unwrap()).unwrap_err();
    assert_eq!(error, RecordError::UnknownKind { id: "new_1".into() });
}

#[test]
fn records_that_cannot_be_used_name_their_field() {
    let field = |body| match ReplicaRecord::try_from(Resource { id: "x".into(), body: Some(body) }) {
        Err(RecordError::Field { error, .. }) => error.field,
        other => panic!("{other:?}"),
    };
    assert_eq!(field(Body::Lease(Lease::default())), "id");
    assert_eq!(field(Body::Credential(crate::control::v1::Credential::default())), "id");
    assert_eq!(field(Body::Certificate(Certificate::default())), "chain");
    let no_key = Certificate { chain: vec![Bytes::from_static(b"x")], ..Certificate::default() };
    assert_eq!(field(Body::Certificate(no_key)), "private_key");
    assert_eq!(field(Body::ConnectName(crate::control::v1::ConnectName::default())), "host");
    assert_eq!(field(Body::Settings(crate::control::v1::Settings::default())), "base_domain");
    assert_eq!(field(Body::ReservedDomain(crate::control::v1::ReservedDomain::default())), "account_id");
    assert_eq!(field(Body::CertificateAuthority(crate::control::v1::CertificateAuthority::default())), "pem");
    assert_eq!(field(Body::IpPolicy(IpPolicy::default())), "id");
    assert_eq!(field(Body::IpPolicyRule(IpPolicyRule { action: 7, ..IpPolicyRule::default() })), "action");
    assert_eq!(field(Body::IpRestriction(IpRestriction::default())), "type");
    let id = Ksuid::from_bytes([7; 20]);
    let rule = IpPolicyRuleRecord {
        id: IpPolicyRuleId::new(id),
        account: AccountId::new(id),
        policy: IpPolicyId::new(id),
        network: "10.0.0.0/8".parse().unwrap(),
        action: IpAction::Deny,
    };
    let Resource { id, body } = (&ReplicaRecord::IpPolicyRule(rule)).into();
    let Some(Body::IpPolicyRule(rule)) = body else { panic!("not a rule") };
    let broken = Resource { id, body: Some(Body::IpPolicyRule(IpPolicyRule { cidr: "10.0.0.0/33".into(), ..rule })) };
    let error = ReplicaRecord::try_from(broken).unwrap_err().to_string();
    assert!(error.contains("cidr: the number behind the slash"), "{error}");
}

fn any_url() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["https://app.example.com", "http://*.a.b", "tls://a.b:8443", "tcp://a.b:7"])
}

fn any_ksuid() -> impl Strategy<Value = Ksuid> {
    any::<[u8; 20]>().prop_map(Ksuid::from_bytes)
}

fn any_record() -> impl Strategy<Value = ReplicaRecord> {
    let credential = (any_ksuid(), any_ksuid(), any::<String>(), any::<[u8; 32]>(), any::<bool>()).prop_map(
        |(id, account, account_name, digest, restricted)| {
            let acl = if restricted { Acl::parse(["bind:*.a.com", "bind:b.com:7"]).unwrap() } else { Acl::default() };
            let (id, account) = (CredentialId::new(id), AccountId::new(account));
            ReplicaRecord::Credential(CredentialRecord { id, account, account_name, digest, acl })
        },
    );
    let bytes = || prop::collection::vec(any::<u8>(), 1..20);
    let names = prop::sample::subsequence(vec!["a.com", "*.a.com", "10.0.0.1", "::1"], 0..=4);
    let certificate = (any::<String>(), names, bytes(), bytes(), any::<[bool; 2]>()).prop_map(
        |(id, names, chain, private_key, [connect, attached])| {
            let names = names.into_iter().map(|name| name.parse::<CertificateName>().unwrap()).collect();
            let (chain, private_key) = (vec![chain.into()], private_key.into());
            ReplicaRecord::Certificate(CertificateRecord { id, names, chain, private_key, connect, attached })
        },
    );
    let texts = || ("[a-zA-Z0-9_-]{1,43}", "[a-zA-Z0-9._-]{1,87}");
    let proof = prop_oneof![
        texts().prop_map(|(token, text)| ProofRecord::Http { host: "a.com".parse().unwrap(), token, text }),
        any::<[u8; 32]>().prop_map(|digest| ProofRecord::Alpn { host: "b.com".parse().unwrap(), digest }),
        (prop::sample::select(vec!["_acme-challenge.a.com", "x.a.com"]), "[a-z]{1,43}")
            .prop_map(|(name, text)| ProofRecord::Dns { name: name.parse().unwrap(), text }),
    ];
    let proofs = prop::collection::vec(proof, 0..3).boxed();
    let certificate_id = prop::option::of("cert_[a-z]{3}");
    let connect_name = (any::<String>(), prop::option::of(any_ksuid()), certificate_id, proofs.clone());
    let connect_name = connect_name.prop_map(|(id, account, certificate, proofs)| {
        let host = "connect.example.com".parse().unwrap();
        let (account, regional) = (account.map(AccountId::new), vec!["eu.connect.example.com".parse().unwrap()]);
        let public_certificates = certificate.is_some();
        let record = ConnectNameRecord { id, host, account, regional, certificate, public_certificates, proofs };
        ReplicaRecord::ConnectName(record)
    });
    let lease = (any_ksuid(), any_ksuid(), any_url(), any::<[u8; 16]>(), any::<u64>(), prop::option::of(1_i64..))
        .prop_map(|(id, account, url, agent, fence, expires_at_ms)| {
            ReplicaRecord::Lease(LeaseRecord {
                id: LeaseId::new(id),
                url: url.parse().unwrap(),
                account: AccountId::new(account),
                agent: AgentId::new(agent),
                edge: "edge-1".parse().unwrap(),
                fence,
                expires_at_ms,
            })
        });
    let settings = any::<String>()
        .prop_map(|id| ReplicaRecord::Settings(SettingsRecord { id, base_domain: "example.com".parse().unwrap() }));
    let names = prop::sample::select(vec!["a.com", "*.a.com"]);
    let domain = (any::<String>(), any_ksuid(), names, prop::option::of("cert_[a-z]{3}"), proofs).prop_map(
        |(id, account, domain, certificate, proofs)| {
            let (account, domain) = (AccountId::new(account), domain.parse().unwrap());
            let cname_target = certificate.is_some().then(|| "x.y.cname.example.com".parse().unwrap());
            let record = ReservedDomainRecord { id, account, domain, certificate, cname_target, proofs };
            ReplicaRecord::ReservedDomain(record)
        },
    );
    let authority = (any_ksuid(), any_ksuid(), "-----BEGIN [a-z]{3}").prop_map(|(id, account, pem)| {
        let (id, account) = (CertificateAuthorityId::new(id), AccountId::new(account));
        ReplicaRecord::CertificateAuthority(CertificateAuthorityRecord { id, account, pem })
    });
    prop_oneof![credential, certificate, connect_name, lease, settings, domain, authority, any_ip_record()]
}

fn any_ip_record() -> impl Strategy<Value = ReplicaRecord> {
    let policy = (any_ksuid(), any_ksuid()).prop_map(|(id, account)| {
        ReplicaRecord::IpPolicy(IpPolicyRecord { id: IpPolicyId::new(id), account: AccountId::new(account) })
    });
    let networks = prop::sample::select(vec!["10.0.0.0/8", "0.0.0.0/0", "2001:db8::/32", "::1/128"]);
    let rule = (any_ksuid(), any_ksuid(), any_ksuid(), networks, any::<bool>()).prop_map(
        |(id, account, policy, network, allow)| {
            ReplicaRecord::IpPolicyRule(IpPolicyRuleRecord {
                id: IpPolicyRuleId::new(id),
                account: AccountId::new(account),
                policy: IpPolicyId::new(policy),
                network: network.parse().unwrap(),
                action: if allow { IpAction::Allow } else { IpAction::Deny },
            })
        },
    );
    let kinds = prop::sample::select(vec![
        RestrictionType::Dashboard,
        RestrictionType::Api,
        RestrictionType::Agent,
        RestrictionType::Endpoints,
    ]);
    let restriction = (any_ksuid(), any_ksuid(), kinds, any::<bool>(), prop::collection::vec(any_ksuid(), 0..4))
        .prop_map(|(id, account, kind, enforced, policies)| {
            ReplicaRecord::IpRestriction(IpRestrictionRecord {
                id: IpRestrictionId::new(id),
                account: AccountId::new(account),
                kind,
                enforced,
                policies: policies.into_iter().map(IpPolicyId::new).collect(),
            })
        });
    prop_oneof![policy, rule, restriction]
}

proptest! {
    #[test]
    fn binds_come_back(
        url in prop_oneof![any_url(), Just("https://"), Just("tcp://:7"), Just("app"), Just("tls://")],
        words in any::<[String; 3]>(),
        proxy in 0..3_usize,
        switches in any::<[bool; 2]>(),
        request in any::<u32>(),
    ) {
        let url: portway_names::WantedUrl = url.parse().unwrap();
        let (http, tls) = (url.scheme.is_http(), url.scheme == Scheme::Tls);
        let [forwards_to, metadata, name] = words;
        let wanted = BindRequest {
            forwards_to,
            upstream_http2: http && switches[0],
            proxy_protocol: [None, Some(ProxyVersion::V1), Some(ProxyVersion::V2)][proxy],
            host_header: (http && switches[1]).then(|| "internal.example:8080".to_owned()),
            tls_edge: tls && switches[0],
            metadata,
            name,
            ..BindRequest::new(url)
        };
        let message = wanted.to_message(request);
        prop_assert_eq!(message.request, request);
        prop_assert_eq!(BindRequest::try_from(through_bytes(&message)), Ok(wanted));
    }

    #[test]
    fn heads_come_back(endpoint in any::<u32>(), client in any::<SocketAddr>(), server in any::<SocketAddr>()) {
        let head = through_bytes(&ConnectionHead::new(endpoint, client, server));
        let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        prop_assert_eq!(head.endpoint, endpoint);
        prop_assert_eq!(head.client(), Ok(plain(client)));
        prop_assert_eq!(head.server(), Ok(plain(server)));
        prop_assert!(head.encoded_len() < 64);
    }

    #[test]
    fn hellos_come_back(
        token in "[0-9A-Za-z]{27}_[0-9A-Za-z]{1,40}", agent in any::<[u8; 16]>(), generation in any::<u64>(), interval in 1000..300_000_u32,
    ) {
        let read = AgentHello::try_from(Hello {
            authtoken: token.clone(),
            agent_id: AgentId::new(agent).to_field(),
            generation,
            heartbeat_interval_ms: interval,
            ..hello()
        }).unwrap();
        let again = AgentHello::try_from(through_bytes(&read.to_message())).unwrap();
        prop_assert_eq!(again.authtoken.expose_secret(), &token);
        prop_assert_eq!(again.agent_id, AgentId::new(agent));
        prop_assert_eq!((again.generation, again.heartbeat_interval), (generation, read.heartbeat_interval));
    }

    #[test]
    fn claims_come_back(account in any_ksuid(), credential in any_ksuid(), agent in any::<[u8; 16]>(), offline in any::<bool>()) {
        let claim = Claim {
            edge: "edge-1".parse().unwrap(),
            account: AccountId::new(account),
            credential: CredentialId::new(credential),
            agent: AgentId::new(agent),
            url: "https://".parse().unwrap(),
            holder_offline: offline,
        };
        prop_assert_eq!(Claim::try_from(through_bytes(&ClaimRequest::from(&claim))), Ok(claim));
    }

    #[test]
    fn records_come_back(record in any_record()) {
        let message = Resource::from(&record);
        let read = ReplicaRecord::try_from(through_bytes(&message)).unwrap();
        prop_assert_eq!(read.id(), record.id());
        prop_assert_eq!(Resource::from(&read), message);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(Some(agent_message::Message::Bind(bind))) = AgentMessage::decode(&*bytes).map(|m| m.message) {
            let _ = BindRequest::try_from(bind);
        }
        let _ = Bind::decode(&*bytes).map(BindRequest::try_from);
        let _ = Hello::decode(&*bytes).map(AgentHello::try_from);
        let _ = Resource::decode(&*bytes).map(ReplicaRecord::try_from);
        let _ = ConnectionHead::decode(&*bytes).map(|head| (head.client(), head.server()));
    }
}

#[test]
fn commands_go_through_both_messages() {
    for command in [
        AgentCommand::Stop,
        AgentCommand::Restart,
        AgentCommand::Update { version: "1.2".to_owned(), permit_major: true },
    ] {
        assert_eq!(AgentCommand::try_from(through_bytes(&command.to_message(7))), Ok(command.clone()));
        assert_eq!(AgentCommand::try_from(Some(edge_command::Command::from(&command))), Ok(command));
    }
    let unknown = Command { command: 9, ..Command::default() };
    assert_eq!(AgentCommand::try_from(unknown).unwrap_err().field, "command");
    assert_eq!(AgentCommand::try_from(None).unwrap_err().field, "command");
    let version = "x".repeat(MAX_VERSION_LEN + 1);
    let long = AgentCommand::Update { version, permit_major: false };
    assert_eq!(AgentCommand::try_from(long.to_message(1)).unwrap_err().field, "version");
    assert_eq!(AgentCommand::try_from(Some((&long).into())).unwrap_err().field, "version");
}

#[test]
fn what_is_online_names_the_field_that_is_wrong() {
    let id = "0ujtsYcgvSTl8PAuAdqWYSMnLOv";
    let session = AgentSession {
        session_id: format!("ts_{id}"),
        account_id: format!("ac_{id}"),
        credential_id: format!("cr_{id}"),
        protocol: 3,
        ip: Bytes::from_static(&[192, 0, 2, 1]),
        ..AgentSession::default()
    };
    let record = SessionRecord::try_from(session.clone()).unwrap();
    assert_eq!((record.protocol, record.ip.to_string().as_str()), (SessionProtocol::Ssh, "192.0.2.1"));
    assert_eq!(OnlineRecord::Session(record).to_message().item, Some(online_item::Item::Session(session.clone())));
    let wrong = |session: AgentSession| SessionRecord::try_from(session).unwrap_err().field;
    assert_eq!(wrong(AgentSession { protocol: 0, ..session.clone() }), "protocol");
    assert_eq!(wrong(AgentSession { ip: Bytes::new(), ..session.clone() }), "ip");
    assert_eq!(wrong(AgentSession { credential_id: format!("sshcr_{id}"), ..session.clone() }), "credential_id");

    let endpoint = OnlineEndpoint {
        session_id: session.session_id,
        number: 1,
        account_id: session.account_id,
        endpoint_id: format!("ep_{id}"),
        url: "https://app.example.com:8443".to_owned(),
        labels: [("edge".to_owned(), "e".to_owned())].into(),
        ..OnlineEndpoint::default()
    };
    let record = EndpointRecord::try_from(endpoint.clone()).unwrap();
    assert_eq!(OnlineRecord::Endpoint(record).to_message().item, Some(online_item::Item::Endpoint(endpoint.clone())));
    let wrong = |endpoint: OnlineEndpoint| EndpointRecord::try_from(endpoint).unwrap_err().field;
    assert_eq!(wrong(OnlineEndpoint { number: 0, ..endpoint.clone() }), "number");
    assert_eq!(wrong(OnlineEndpoint { url: "ssh://x".to_owned(), ..endpoint.clone() }), "url");
    assert!(EndpointRecord::try_from(OnlineEndpoint { url: String::new(), ..endpoint }).unwrap().url.is_none());
    assert_eq!(OnlineRecord::try_from(OnlineItem::default()).unwrap_err().field, "item");

    let edge = EdgeInfo {
        edge_id: "edge".to_owned(),
        process: "p".to_owned(),
        region: "eu".to_owned(),
        ..EdgeInfo::default()
    };
    assert_eq!(EdgeRecord::try_from(edge.clone()).unwrap().to_message(), edge);
    let wrong = |edge: EdgeInfo| EdgeRecord::try_from(edge).unwrap_err().field;
    assert_eq!(wrong(EdgeInfo { process: String::new(), ..edge.clone() }), "process");
    assert_eq!(wrong(EdgeInfo { process: "x".repeat(65), ..edge.clone() }), "process");
    assert_eq!(wrong(EdgeInfo { region: "E U".to_owned(), ..edge }), "region");
}
