//! Certificates and certificate authorities through the REST interface, and what edges get of them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portway_control::Control;
use portway_proto::ReplicaRecord;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519,
    PKCS_RSA_SHA256, RsaKeySize, SignatureAlgorithm,
};
use serde_json::{Value, json};

use crate::{Replica, Running, config};

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    CertifiedIssuer::self_signed(authority_params(name), KeyPair::generate().unwrap()).unwrap()
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// A certificate for names, with the given key.
fn leaf(names: &[&str], key: &KeyPair, issuer: &Issuer<'_, KeyPair>) -> String {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    CertificateParams::new(names).unwrap().signed_by(key, issuer).unwrap().pem()
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

async fn upload(running: &Running, chain: &str, key: &str) -> Result<Value, String> {
    let body = json!({"certificate_pem": chain, "private_key_pem": key});
    match running.call("POST", "/tls_certificates", body).await {
        (201, reply) => Ok(reply),
        (_, reply) => Err(reply["error_code"].as_str().unwrap().to_owned()),
    }
}

#[tokio::test]
async fn an_uploaded_certificate_tells_what_it_says_and_hides_its_key() {
    let running = Running::start().await;
    let root = authority("Root");
    let key = KeyPair::generate().unwrap();
    let middle = CertifiedIssuer::signed_by(authority_params("Middle"), key, &root).unwrap();
    let mut params = CertificateParams::new(["app.example.com".to_owned(), "10.0.0.1".to_owned()]).unwrap();
    for (kind, value) in [
        (DnType::CommonName, "app.example.com"),
        (DnType::OrganizationName, "Example"),
        (DnType::OrganizationalUnitName, "Web"),
        (DnType::LocalityName, "Bern"),
        (DnType::StateOrProvinceName, "BE"),
        (DnType::CountryName, "CH"),
    ] {
        params.distinguished_name.push(kind, value);
    }
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(2024, 2, 16), rcgen::date_time_ymd(2034, 2, 16));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.serial_number = Some(vec![0x0a, 0xbc, 0xde].into());
    let key = KeyPair::generate().unwrap();
    let chain = [params.signed_by(&key, &middle).unwrap().pem(), middle.pem(), root.pem()].concat();

    let body = json!({"certificate_pem": chain, "private_key_pem": key.serialize_pem(), "description": "mine"});
    let made = running.done("POST", "/tls_certificates", body).await;
    for (field, value) in [
        ("description", json!("mine")),
        ("certificate_pem", json!(chain)),
        ("subject_common_name", json!("app.example.com")),
        ("subject_alternative_names", json!({"dns_names": ["app.example.com"], "ips": ["10.0.0.1"]})),
        ("issued_at", Value::Null),
        ("not_before", json!("2024-02-16T00:00:00Z")),
        ("not_after", json!("2034-02-16T00:00:00Z")),
        ("key_usages", json!(["digital_signature", "key_encipherment"])),
        ("extended_key_usages", json!(["server_auth", "client_auth"])),
        ("private_key_type", json!("ecdsa")),
        ("issuer_common_name", json!("Middle")),
        ("serial_number", json!("abcde")),
        ("subject_organization", json!("Example")),
        ("subject_organizational_unit", json!("Web")),
        ("subject_locality", json!("Bern")),
        ("subject_province", json!("BE")),
        ("subject_country", json!("CH")),
    ] {
        assert_eq!(made[field], value, "{field}");
    }
    let path = format!("/tls_certificates/{}", made["id"].as_str().unwrap());
    assert_eq!(running.done("GET", &path, Value::Null).await, made);
    let changed = running.done("PATCH", &path, json!({"metadata": "{}"})).await;
    assert_eq!((&changed["description"], &changed["metadata"]), (&json!("mine"), &json!("{}")));
    let body = json!({"private_key_pem": key.serialize_pem()});
    assert_eq!(running.refused("PATCH", &path, body).await, (400, "ERR_NGROK_214".to_owned()));
    let found = "/tls_certificates?filter=obj.subject_common_name+==+%22app.example.com%22";
    assert_eq!(running.done("GET", found, Value::Null).await["tls_certificates"], json!([changed]));

    let Running { dir, stop, runner, server, client, rest, .. } = running;
    stop.cancel();
    runner.await.unwrap().close().await;
    drop((client, rest));
    server.abort();
    let key = key.serialize_der();
    for file in std::fs::read_dir(dir.path()).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap()) {
        for secret in [key.clone(), STANDARD.encode(&key).into_bytes()] {
            assert!(!file.windows(secret.len()).any(|window| window == secret));
        }
    }
    Control::open(config(dir.path())).await.unwrap().close().await;
}

#[tokio::test]
async fn keys_of_every_kind_are_taken_in_every_form() {
    let running = Running::start().await;
    let root = authority("Root");
    let edges = |algorithm: &'static SignatureAlgorithm| KeyPair::generate_for(algorithm).unwrap();
    let (p256, rsa) =
        (edges(&PKCS_ECDSA_P256_SHA256), KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap());
    // Behind the headers of PKCS#8 (RFC 5208 section 5) stand the keys of RFC 5915 section 3 and RFC 8017 appendix A.1.2.
    let sec1 = pem("EC PRIVATE KEY", &p256.serialize_der()[29..]);
    let pkcs1 = pem("RSA PRIVATE KEY", &rsa.serialize_der()[26..]);
    for (key, text, kind) in [
        (&edges(&PKCS_ED25519), None, "ed25519"),
        (&edges(&PKCS_ECDSA_P384_SHA384), None, "ecdsa"),
        (&edges(&PKCS_ECDSA_P521_SHA512), None, "ecdsa"),
        (&p256, None, "ecdsa"),
        (&p256, Some(sec1), "ecdsa"),
        (&rsa, None, "rsa"),
        (&rsa, Some(pkcs1), "rsa"),
    ] {
        let chain = leaf(&["app.example.com"], key, &root);
        let text = text.unwrap_or_else(|| key.serialize_pem());
        let made = upload(&running, &chain, &text).await.unwrap_or_else(|code| panic!("{kind}: {code}"));
        assert_eq!(made["private_key_type"], kind);
    }
}

#[tokio::test]
async fn what_makes_no_pair_is_refused_by_the_reason() {
    let running = Running::start().await;
    let (root, other) = (authority("Root"), authority("Other"));
    let key = KeyPair::generate().unwrap();
    let (chain, text) = (leaf(&["app.example.com"], &key, &root), key.serialize_pem());
    // An authority of the same name that did not sign it.
    let namesake = authority("Root");
    let large = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_4096).unwrap();
    assert!(upload(&running, &leaf(&["a.example.com"], &large, &root), &large.serialize_pem()).await.is_ok());
    let garbled = pem("CERTIFICATE", b"nothing");
    let headers = chain.replacen("-----\n", "-----\nComment: mine\n", 1);
    for (chain, text, code) in [
        (&chain, &KeyPair::generate().unwrap().serialize_pem(), "ERR_NGROK_1923"),
        (&[chain.as_str(), &other.pem()].concat(), &text, "ERR_NGROK_1926"),
        (&[chain.as_str(), &namesake.pem()].concat(), &text, "ERR_NGROK_1926"),
        (&[&root.pem(), chain.as_str()].concat(), &text, "ERR_NGROK_1926"),
        (&chain.repeat(11), &text, "ERR_NGROK_1921"),
        (&text, &text, "ERR_NGROK_1925"),
        (&chain, &chain, "ERR_NGROK_1924"),
        (&garbled, &text, "ERR_NGROK_1900"),
        (&headers, &text, "ERR_NGROK_1910"),
        (&"hello".to_owned(), &text, "ERR_NGROK_1920"),
        (&chain, &pem("ENCRYPTED PRIVATE KEY", b"x"), "ERR_NGROK_1902"),
        (&chain, &pem("PRIVATE KEY", b"nothing"), "ERR_NGROK_1903"),
        (&String::new(), &text, "ERR_NGROK_1922"),
        (&chain, &String::new(), "ERR_NGROK_1901"),
    ] {
        assert_eq!(upload(&running, chain, text).await.unwrap_err(), code);
    }
}

#[tokio::test]
async fn authorities_are_single_certificates_of_authorities() {
    let running = Running::start().await;
    let root = authority("Root");
    let made = running.done("POST", "/certificate_authorities", json!({"ca_pem": root.pem()})).await;
    assert_eq!((&made["ca_pem"], &made["subject_common_name"]), (&json!(root.pem()), &json!("Root")));
    assert_eq!((&made["key_usages"], &made["extended_key_usages"]), (&json!(["cert_sign", "crl_sign"]), &json!([])));
    let key = KeyPair::generate().unwrap();
    for (pem, code) in [
        (root.pem().repeat(2), "ERR_NGROK_1912"),
        (leaf(&["app.example.com"], &key, &root), "ERR_NGROK_1913"),
        (pem("CERTIFICATE REQUEST", b"x"), "ERR_NGROK_1911"),
        (pem("CERTIFICATE", b"x"), "ERR_NGROK_1900"),
        (String::new(), "ERR_NGROK_1919"),
    ] {
        let refused = running.refused("POST", "/certificate_authorities", json!({"ca_pem": pem})).await;
        assert_eq!(refused, (400, code.to_owned()));
    }
}

#[tokio::test]
async fn a_certificate_is_attached_to_domains_that_it_names() {
    let running = Running::start().await;
    let (root, key) = (authority("Root"), KeyPair::generate().unwrap());
    let chain = leaf(&["a.example.org", "*.b.example.org"], &key, &root);
    let made = upload(&running, &chain, &key.serialize_pem()).await.unwrap();
    let with = |domain: &str| json!({"domain": domain, "certificate_id": made["id"]});
    for domain in ["a.example.org", "x.b.example.org", "*.b.example.org"] {
        running.done("POST", "/reserved_domains", with(domain)).await;
    }
    let refused = (400, "ERR_PORTWAY_40005".to_owned());
    for domain in ["x.a.example.org", "b.example.org", "x.y.b.example.org", "*.a.example.org"] {
        assert_eq!(running.refused("POST", "/reserved_domains", with(domain)).await, refused, "{domain}");
    }
    let other = running.done("POST", "/reserved_domains", json!({"domain": "other.example.org"})).await;
    let path = format!("/reserved_domains/{}", other["id"].as_str().unwrap());
    let attach = json!({"certificate_id": made["id"]});
    assert_eq!(running.refused("PATCH", &path, attach).await, refused);
}

#[tokio::test]
async fn edges_follow_certificates_authorities_and_the_domains_that_refer_to_them() {
    let running = Running::start().await;
    let (root, key) = (authority("Root"), KeyPair::generate().unwrap());
    let chain = leaf(&["app.example.com", "a.*.example.com", "10.0.0.1"], &key, &root);
    let made = upload(&running, &chain, &key.serialize_pem()).await.unwrap();
    let certificate = made["id"].as_str().unwrap().to_owned();
    let (_, credential) = running.credential().await;
    let body = json!({"domain": "app.example.com", "certificate_id": certificate});
    let domain = running.done("POST", "/reserved_domains", body).await["id"].as_str().unwrap().to_owned();
    let made = running.done("POST", "/certificate_authorities", json!({"ca_pem": root.pem()})).await;
    let authority = made["id"].as_str().unwrap().to_owned();

    let mut replica = Replica::default();
    let mut updates = running.watch("edge", "", 0).await;
    replica.follow(&mut updates, |replica| replica.snapshots == 1).await.unwrap();
    let record = |replica: &Replica, id: &str| ReplicaRecord::try_from(replica.resources[id].clone()).unwrap();
    let ReplicaRecord::Certificate(got) = record(&replica, &certificate) else { panic!("no certificate") };
    assert!(got.attached && !got.connect && got.chain.len() == 1);
    assert_eq!(got.names, ["app.example.com".parse().unwrap()]);
    assert_eq!(secrecy::ExposeSecret::expose_secret(&got.private_key), key.serialize_der());
    let ReplicaRecord::ReservedDomain(got) = record(&replica, &domain) else { panic!("no domain") };
    assert_eq!((got.domain, got.certificate), ("app.example.com".parse().unwrap(), Some(certificate.clone())));
    let ReplicaRecord::CertificateAuthority(got) = record(&replica, &authority) else { panic!("no authority") };
    assert_eq!((got.account.to_string(), got.pem), (credential.account_id, root.pem()));

    // While a domain refers to it, it stays.
    let path = format!("/tls_certificates/{certificate}");
    assert_eq!(running.refused("DELETE", &path, Value::Null).await, (409, "ERR_PORTWAY_40903".to_owned()));
    running.done("DELETE", &format!("/reserved_domains/{domain}/certificate"), Value::Null).await;
    running.done("DELETE", &format!("/certificate_authorities/{authority}"), Value::Null).await;
    let second = upload(&running, &chain, &key.serialize_pem()).await.unwrap()["id"].as_str().unwrap().to_owned();
    replica.follow(&mut updates, |replica| replica.resources.contains_key(&second)).await.unwrap();
    assert!(!replica.resources.contains_key(&authority));
    let ReplicaRecord::ReservedDomain(got) = record(&replica, &domain) else { panic!("no domain") };
    assert_eq!(got.certificate, None);
    running.done("DELETE", &path, Value::Null).await;
    running.done("DELETE", &format!("/tls_certificates/{second}"), Value::Null).await;
    replica.follow(&mut updates, |replica| !replica.resources.contains_key(&second)).await.unwrap();
}
