//! Bodies of requests: what is read, what is refused with which code, and what clients send that means nothing.

use portway_api::*;
use portway_codes::Code;
use serde_json::{Value, json};

fn read<T: Input>(body: Value) -> T {
    read_body(body.to_string().as_bytes()).unwrap_or_else(|error| panic!("{body}: {error}"))
}

#[track_caller]
fn refused<T: Input>(body: Value, code: u32) -> String {
    match read_body::<T>(body.to_string().as_bytes()) {
        Ok(_) => panic!("{body} is read"),
        Err(error) => {
            assert_eq!(error.code.number(), code, "{body}: {error}");
            error.text
        }
    }
}

const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me@here";
const KSUID: &str = "0ujtsYcgvSTl8PAuAdqWYSMnLOv";

fn id(prefix: &str) -> String {
    format!("{prefix}_{KSUID}")
}

#[test]
fn unknown_fields_are_named_with_the_known_ones() {
    let text = refused::<VaultCreate>(json!({"name": "a", "colour": "red"}), 214);
    assert!(text.contains("\"colour\"") && text.contains("name, metadata, description"), "{text}");
    let text = refused::<IpRestrictionCreate>(json!({"r#type": "api"}), 214);
    assert!(text.contains("enforced, type, ip_policy_ids"), "{text}");
    refused::<ReservedDomainCreate>(json!({"domain": "a.example.com", "id": "rd_1"}), 214);
}

#[test]
fn bodies_are_objects_in_json() {
    for body in ["[]", "7", "\"x\"", "null"] {
        assert_eq!(
            read_body::<VaultUpdate>(body.as_bytes()).map(drop).unwrap_err().code,
            Code::ERR_NGROK_215,
            "{body}"
        );
    }
    for body in ["{", "{\"name\": s3cret}", "\u{1}", "{} {}"] {
        let error = read_body::<VaultUpdate>(body.as_bytes()).map(drop).unwrap_err();
        assert_eq!(error.code, Code::ERR_NGROK_213, "{body}");
        assert!(!error.text.contains("s3cret"));
    }
    let deep = format!("{{\"name\": {}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(read_body::<VaultUpdate>(deep.as_bytes()).map(drop).unwrap_err().code, Code::ERR_NGROK_213);
    let long = vec![b' '; MAX_BODY_LEN + 1];
    assert_eq!(read_body::<VaultUpdate>(&long).map(drop).unwrap_err().code, Code::ERR_PORTWAY_41302);
    assert_eq!(read_body::<VaultUpdate>(b" ").unwrap_err().code, Code::ERR_NGROK_213);
}

#[test]
fn what_the_python_client_sends_for_nothing_is_nothing() {
    let domain: ReservedDomainCreate = read(json!({
        "domain": "App.Example.com", "region": "", "description": "", "metadata": "", "certificate_id": "",
        "certificate_management_policy": null, "resolves_to": [],
    }));
    assert_eq!(domain.domain.0.to_string(), "app.example.com");
    assert!(domain.region.is_none() && domain.certificate_id.is_none() && domain.resolves_to.is_none());
    assert_eq!(domain.description.as_str(), "");

    let change: ReservedDomainUpdate =
        read(json!({"id": "rd_1", "description": "", "metadata": null, "resolves_to": []}));
    assert_eq!(change.description.unwrap().as_str(), "");
    assert!(change.metadata.is_none() && change.resolves_to.is_none());

    let authority: SshCertificateAuthorityCreate =
        read(json!({"private_key_type": "", "elliptic_curve": "", "key_size": 0}));
    assert!(authority.key_size.is_none() && authority.elliptic_curve.is_none());
    let restriction: IpRestrictionUpdate = read(json!({"ip_policy_ids": [], "enforced": true}));
    assert!(restriction.ip_policy_ids.is_none() && restriction.enforced == Some(true));
    assert!(read::<EventSubscriptionUpdate>(json!({"sources": [], "description": "x"})).sources.is_none());
}

#[test]
fn an_empty_list_of_rules_lifts_all_restrictions() {
    assert!(read::<CredentialUpdate>(json!({"acl": []})).acl.unwrap().is_unrestricted());
    assert!(read::<CredentialUpdate>(json!({"acl": null, "description": "x"})).acl.is_none());
}

#[test]
fn domains() {
    let domain: ReservedDomainCreate = read(json!({
        "name": "*.example.com",
        "certificate_management_policy": {},
        "resolves_to": [{"value": "eu"}, {"value": "global"}, {"value": "203.0.113.7:443"}],
        "https_endpoint_configuration_id": "ec_1",
    }));
    assert!(domain.domain.0.is_wildcard());
    let policy = domain.certificate_management_policy.unwrap();
    assert_eq!((policy.authority, policy.private_key_type), (Authority::LetsEncrypt, ManagedKeyType::Ecdsa));
    assert_eq!(domain.resolves_to.unwrap().as_slice().len(), 3);

    type Create = ReservedDomainCreate;
    refused::<Create>(json!({}), 215);
    refused::<Create>(json!({"domain": 7}), 215);
    refused::<Create>(json!({"domain": "a_b.example.com"}), 438);
    refused::<Create>(json!({"domain": "a.example.com", "name": "b.example.com"}), 449);
    refused::<Create>(json!({"domain": "a.example.com", "region": "EU!"}), 400);
    refused::<Create>(json!({"domain": "a.example.com", "description": "ä".repeat(128)}), 420);
    refused::<Create>(json!({"domain": "a.example.com", "metadata": "m".repeat(4097)}), 421);
    let both = json!({"domain": "a.example.com", "certificate_id": id("cert"), "certificate_management_policy": {}});
    refused::<Create>(both, 434);
    let authority = json!({"domain": "a.example.com", "certificate_management_policy": {"authority": "other"}});
    let text = refused::<Create>(authority, 435);
    assert!(text.contains("certificate_management_policy.authority"), "{text}");
    refused::<Create>(json!({"domain": "a.example.com", "certificate_id": id("rd")}), 227);
    refused::<Create>(json!({"domain": "a.example.com", "certificate_id": "cert_1"}), 223);
    refused::<Create>(json!({"domain": "a.example.com", "resolves_to": [{"value": "EU!"}]}), 400);
    refused::<Create>(json!({"domain": "a.example.com", "resolves_to": [{"value": "eu"}, {"value": "eu"}]}), 456);
    refused::<Create>(json!({"domain": "a.example.com", "resolves_to": [{"place": "eu"}]}), 214);

    refused::<ReservedDomainUpdate>(json!({"id": "rd_1", "resolves_to": []}), 422);
    refused::<ReservedDomainUpdate>(json!({"region": "eu"}), 451);
    assert!(read::<ReservedDomainUpdate>(json!({"region": null, "metadata": "x"})).metadata.is_some());
    refused::<ReservedDomainUpdate>(json!({"domain": "b.example.com"}), 214);
    refused::<ReservedAddrUpdate>(json!({}), 506);
    refused::<AgentIngressCreate>(json!({"domain": "*.example.com"}), 6704);
    refused::<AgentIngressCreate>(json!({}), 6704);
}

#[test]
fn policies_and_restrictions() {
    let rule: IpPolicyRuleCreate =
        read(json!({"cidr": "203.0.113.0/24", "ip_policy_id": id("ipp"), "action": "deny", "description": "d"}));
    assert_eq!((rule.cidr.to_string().as_str(), rule.action), ("203.0.113.0/24", RuleAction::Deny));
    for missing in ["cidr", "ip_policy_id", "action"] {
        let mut body = json!({"cidr": "203.0.113.0/24", "ip_policy_id": id("ipp"), "action": "deny"});
        body[missing] = json!("");
        assert!(refused::<IpPolicyRuleCreate>(body, 1405).contains(missing));
    }
    for (field, value, code) in [
        ("cidr", json!("here"), 1406),
        ("cidr", json!("203.0.113.7/24"), 1409),
        ("cidr", json!("203.0.113.7"), 1413),
        ("ip_policy_id", json!(id("ipr")), 1414),
        ("action", json!("Allow"), 1422),
        ("description", json!("x".repeat(256)), 1421),
    ] {
        let mut body = json!({"cidr": "203.0.113.0/24", "ip_policy_id": id("ipp"), "action": "deny"});
        body[field] = value;
        refused::<IpPolicyRuleCreate>(body, code);
    }
    refused::<IpPolicyRuleUpdate>(json!({"id": id("ipr")}), 1401);
    refused::<IpPolicyCreate>(json!({"action": "allow"}), 1423);
    refused::<IpPolicyUpdate>(json!({}), 1400);
    refused::<IpRestrictionCreate>(json!({"type": "api", "ip_policy_ids": []}), 1804);
    refused::<IpRestrictionCreate>(json!({"type": "door", "ip_policy_ids": [id("ipp")]}), 1803);
    refused::<IpRestrictionCreate>(json!({"type": "api", "ip_policy_ids": [id("ca")]}), 229);
    let restriction: IpRestrictionCreate = read(json!({"type": "api", "ip_policy_ids": [id("ipp")]}));
    assert!(!restriction.enforced);
}

#[test]
fn credentials() {
    let credential: CredentialCreate = read(json!({"acl": ["bind:*.example.com"], "owner_id": id("bot")}));
    assert!(matches!(credential.owner_id, Some(OwnerId::Bot(_))));
    refused::<CredentialCreate>(json!({"precomputed_token": "s3cret"}), 638);
    refused::<CredentialCreate>(json!({"acl": ["listen:x"]}), 600);
    refused::<CredentialCreate>(json!({"owner_id": id("rd")}), 243);
    refused::<CredentialCreate>(json!({"owner_id": "usr_1"}), 223);
    refused::<CredentialCreate>(json!({"owner_id": id("usr"), "owner_email": "a@example.com"}), 631);
    refused::<CredentialCreate>(json!({"description": "x".repeat(256)}), 604);
    refused::<CredentialCreate>(json!({"metadata": "x".repeat(4097)}), 605);
    refused::<ApiKeyUpdate>(json!({}), 606);
    assert_eq!(read::<SshCredentialCreate>(json!({"public_key": ED25519})).public_key.text, ED25519);
    refused::<SshCredentialCreate>(json!({"public_key": ""}), 611);
    refused::<SshCredentialCreate>(json!({"public_key": "ssh-ed25519 x"}), 612);
    assert!(read::<ServiceUserCreate>(json!({"name": "ci"})).active);
    refused::<ServiceUserCreate>(json!({"name": "ci", "active": "yes"}), 215);
}

#[test]
fn certificates() {
    let block = |label: &str| format!("-----BEGIN {label}-----\ns3cret\n-----END {label}-----\n");
    let (certificate, key) = (block("CERTIFICATE"), block("PRIVATE KEY"));
    let body: TlsCertificateCreate = read(json!({"certificate_pem": certificate, "private_key_pem": key}));
    assert!(!format!("{:?}", body.private_key_pem).contains("s3cret"));
    refused::<TlsCertificateCreate>(json!({"private_key_pem": key}), 1922);
    refused::<TlsCertificateCreate>(json!({"certificate_pem": certificate}), 1901);
    refused::<TlsCertificateCreate>(json!({"certificate_pem": key, "private_key_pem": key}), 1925);
    refused::<TlsCertificateCreate>(json!({"certificate_pem": certificate, "private_key_pem": certificate}), 1924);
    refused::<CertificateAuthorityCreate>(json!({}), 1919);
    refused::<CertificateAuthorityCreate>(json!({"ca_pem": "x"}), 1920);
}

#[test]
fn vaults_and_ssh() {
    let secret: SecretCreate = read(json!({"name": "a/b.c_1", "value": "s3cret", "vault_name": "v"}));
    assert!(!format!("{secret:?}").contains("s3cret"));
    refused::<SecretCreate>(json!({"name": "a", "value": "b"}), 24008);
    refused::<SecretCreate>(json!({"name": "a", "value": "", "vault_name": "v"}), 24003);
    refused::<SecretCreate>(json!({"name": "a b", "value": "b", "vault_name": "v"}), 24000);
    refused::<SecretCreate>(json!({"value": "b", "vault_name": "v"}), 24001);
    refused::<SecretCreate>(json!({"name": "a", "value": "b".repeat(MAX_SECRET_LEN + 1), "vault_name": "v"}), 24004);
    refused::<VaultCreate>(json!({"name": ""}), 23001);
    refused::<VaultCreate>(json!({"name": "ä"}), 23000);

    type Authority = SshCertificateAuthorityCreate;
    refused::<Authority>(json!({"private_key_type": "dsa"}), 1936);
    refused::<Authority>(json!({"private_key_type": "rsa", "key_size": 1024}), 1939);
    refused::<Authority>(json!({"private_key_type": "ecdsa", "key_size": 2048}), 1940);
    refused::<Authority>(json!({"private_key_type": "ecdsa", "elliptic_curve": "25519"}), 1941);
    refused::<Authority>(json!({"private_key_type": "rsa", "elliptic_curve": "256"}), 1942);
    let certificate = |after: &str, until: &str| json!({"ssh_certificate_authority_id": id("sshca"), "public_key": ED25519, "valid_after": after, "valid_until": until});
    let read: SshUserCertificateCreate = read(certificate("", "2030-01-01T00:00:00Z"));
    assert!(read.valid_after.is_none() && read.extensions.is_none());
    refused::<SshUserCertificateCreate>(certificate("2030-01-01T00:00:00Z", "2030-01-01T00:00:00Z"), 1962);
    refused::<SshHostCertificateCreate>(certificate("2030-01-02T00:00:00Z", "2030-01-01T00:00:00Z"), 1963);
    refused::<SshHostCertificateCreate>(certificate("soon", ""), 241);
    refused::<SshHostCertificateCreate>(json!({"ssh_certificate_authority_id": id("sshca")}), 1952);
}

#[test]
fn event_destinations() {
    let auth = json!({"creds": {"aws_access_key_id": "AKIA", "aws_secret_access_key": "s3cret"}, "role": null});
    let kinesis = json!({"auth": auth, "stream_arn": "arn:aws:kinesis:eu-central-1:123456789012:stream/events"});
    let body: EventDestinationCreate =
        read(json!({"format": "JSON", "target": {"kinesis": kinesis, "firehose": null, "datadog": null}}));
    assert_eq!(body.target.kind(), "kinesis");
    assert!(!format!("{body:?}").contains("s3cret"));
    let reply = serde_json::to_value(EventTargetReply::from(&body.target)).unwrap();
    let members: Vec<&String> = reply.as_object().unwrap().keys().collect();
    assert_eq!(members, ["azure_logs_ingestion", "cloudwatch_logs", "datadog", "debug", "firehose", "kinesis", "s3"]);
    assert_eq!(reply["datadog"], Value::Null);
    let keys = json!({"aws_access_key_id": "AKIA", "aws_secret_access_key": ""});
    assert_eq!(reply["kinesis"]["auth"], json!({"role": null, "creds": keys}));

    let with = |target: Value| json!({"format": "json", "target": target});
    for (target, code) in [
        (json!({}), 5100),
        (Value::Null, 5100),
        (json!({"kinesis": kinesis, "debug": {"log": true}}), 5115),
        (json!({"kinesis": {"stream_arn": kinesis["stream_arn"]}}), 5106),
        (json!({"kinesis": {"auth": {}, "stream_arn": kinesis["stream_arn"]}}), 5107),
        (
            json!({"kinesis": {"auth": {"creds": auth["creds"], "role": {"role_arn": "arn:aws:iam::123456789012:role/x"}},
            "stream_arn": kinesis["stream_arn"]}}),
            5116,
        ),
        (json!({"kinesis": {"auth": {"role": {"role_arn": "x"}}, "stream_arn": kinesis["stream_arn"]}}), 5104),
        (json!({"kinesis": {"auth": auth, "stream_arn": "x"}}), 5120),
        (
            json!({"kinesis": {"auth": {"creds": {"aws_access_key_id": "AKIA"}}, "stream_arn": kinesis["stream_arn"]}}),
            240,
        ),
        (json!({"datadog": {"ddsite": "datadoghq.eu"}}), 5133),
        (json!({"azure_logs_ingestion": {"tenant_id": "t", "client_id": "c"}}), 5138),
        (json!({"debug": {"callback_url": "ftp://x"}}), 5140),
        (json!({"debug": {}}), 5140),
        (json!({"syslog": {}}), 214),
    ] {
        refused::<EventDestinationCreate>(with(target), code);
    }
    refused::<EventDestinationCreate>(json!({"target": {"debug": {"log": true}}}), 235);
    // Secrets that are not given back need not be sent again.
    let update = json!({"target": {"datadog": {"api_key": "", "ddsite": "datadoghq.eu"}}});
    assert!(read::<EventDestinationUpdate>(update).target.unwrap().datadog.unwrap().api_key.is_none());
}

#[test]
fn event_sources() {
    let http = "http_request_complete.v0";
    let read: EventSubscriptionCreate = read(json!({
        "sources": [
            {"type": "ip_policy_created.v0", "uri": "x"},
            {"type": http, "fields": ["conn.client_ip", "http.response.status_code"], "filter": "ev.conn.server_port == 443"},
        ],
        "destination_ids": [id("ed")],
    }));
    assert_eq!(read.sources.len(), 2);
    let one = |source: Value| json!({"sources": [source]});
    for (source, code) in [
        (json!({"type": "x.v0"}), 238),
        (json!({}), 238),
        (json!({"type": http}), 5400),
        (json!({"type": "vault_created.v0", "fields": ["conn.client_ip"]}), 5401),
        (json!({"type": "vault_created.v0", "filter": "true"}), 5402),
        (json!({"type": http, "fields": ["conn.bytes_in"]}), 5403),
        (json!({"type": http, "fields": ["conn.client_ip"], "filter": "=="}), 5404),
        (json!({"type": http, "fields": ["conn.client_ip"], "filter": "ev.x == 1"}), 5405),
        (json!({"type": http, "fields": ["conn.client_ip"], "filter": "ev.tls.version == 'x'"}), 5406),
    ] {
        refused::<EventSubscriptionCreate>(one(source), code);
    }
    let twice = json!({"sources": [{"type": "vault_created.v0"}, {"type": "vault_created.v0"}]});
    refused::<EventSubscriptionCreate>(twice.clone(), 5127);
    refused::<EventSubscriptionUpdate>(twice, 5127);
    refused::<EventSubscriptionCreate>(json!({"destination_ids": [id("rd")]}), 5103);
    let many = vec![id("ed"); MAX_DESTINATIONS + 1];
    refused::<EventSubscriptionCreate>(json!({"destination_ids": many}), 5126);
    refused::<EventSubscriptionUpdate>(json!({"destination_ids": many}), 5126);
}

#[test]
fn lists_and_members_have_limits() {
    let many: Vec<String> = (0..=MAX_LIST_LEN).map(|number| format!("host{number}")).collect();
    let body = json!({"ssh_certificate_authority_id": id("sshca"), "public_key": ED25519, "principals": many});
    refused::<SshHostCertificateCreate>(body, 215);
    let nested = json!({"ssh_certificate_authority_id": id("sshca"), "public_key": ED25519, "principals": ["a", 7]});
    assert!(refused::<SshHostCertificateCreate>(nested, 215).contains("principals[1]"));
}

#[test]
fn every_body_is_an_object_whose_members_are_known() {
    for spec in Operation::all().iter().filter(|spec| matches!(spec.body, Body::Json(_))) {
        let code = |body: &str| spec.check_body(body.as_bytes()).map_err(|error| error.code.number());
        assert_eq!(code("[]"), Err(215), "{}", spec.name);
        assert_eq!(code("{\"no such\\u0007 field\": 1}"), Err(214), "{}", spec.name);
        if spec.method == http::Method::PATCH && spec.name != "settings update" && spec.name != "event-sources update" {
            assert_ne!(code("{\"id\": \"x\"}"), Err(214), "{}", spec.name);
        }
    }
}

proptest::proptest! {
    #[test]
    fn no_value_in_any_field_panics(value in value()) {
        for spec in Operation::all() {
            let Body::Json(kind) = spec.body else { continue };
            let mut schemas = Schemas::new();
            let name = (kind.schema)(&mut schemas)["$ref"].as_str().and_then(|name| name.rsplit('/').next()).expect("a name").to_owned();
            for field in schemas[name.as_str()]["properties"].as_object().expect("fields").keys() {
                let _ = spec.check_body(json!({field: value}).to_string().as_bytes());
            }
        }
    }
}

/// Any JSON, not too deep, with the words that fields look for.
fn value() -> impl proptest::strategy::Strategy<Value = Value> {
    use proptest::prelude::*;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
        "(arn:aws:|bind:|ipp_|usr_|-----BEGIN |\\*\\.|[0-9.]{1,4}/)[a-z0-9:/.-]{0,30}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("(auth|kinesis|creds|value|type|authority|debug|[a-z]{1,4})", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

#[test]
fn names_have_no_control_characters_and_texts_no_nul() {
    refused::<ServiceUserCreate>(json!({"name": "a\u{1b}[2Jb"}), 215);
    refused::<ServiceUserCreate>(json!({"name": "a\u{9b}2Jb"}), 215);
    refused::<IpPolicyCreate>(json!({"description": "a\0b"}), 215);
    assert_eq!(read::<IpPolicyCreate>(json!({"description": "a\n\tb"})).description.as_str(), "a\n\tb");
}
