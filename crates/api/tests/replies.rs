//! Replies: every documented member is there, whatever it holds.

use portway_api::*;
use serde_json::json;

#[test]
fn a_reply_has_every_member() {
    let base: BaseUrl = "https://api.example.com".parse().unwrap();
    let domain = ReservedDomain {
        id: "rd_1".into(),
        uri: base.resource("/reserved_domains", "rd_1"),
        created_at: Timestamp::from_unix(1_708_112_110),
        description: String::new(),
        metadata: String::new(),
        domain: "app.example.com".into(),
        region: String::new(),
        cname_target: None,
        certificate: Some(base.reference("/tls_certificates", "cert_1")),
        certificate_management_policy: Some(ManagedPolicy {
            authority: Authority::LetsEncrypt,
            private_key_type: ManagedKeyType::Ecdsa,
        }),
        certificate_management_status: None,
        acme_challenge_cname_target: None,
        resolves_to: None,
        http_endpoint_configuration: None,
        https_endpoint_configuration: None,
        error_redirect_url: None,
        is_dev: false,
    };
    let written = json!({
        "id": "rd_1", "uri": "https://api.example.com/reserved_domains/rd_1", "created_at": "2024-02-16T19:35:10Z",
        "description": "", "metadata": "", "domain": "app.example.com", "region": "", "cname_target": null,
        "certificate": {"id": "cert_1", "uri": "https://api.example.com/tls_certificates/cert_1"},
        "certificate_management_policy": {"authority": "letsencrypt", "private_key_type": "ecdsa"},
        "certificate_management_status": null, "acme_challenge_cname_target": null, "resolves_to": null,
        "http_endpoint_configuration": null, "https_endpoint_configuration": null, "error_redirect_url": null, "is_dev": false,
    });
    assert_eq!(serde_json::to_value(&domain).unwrap(), written);
    let read: ReservedDomain = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), written);
}

#[test]
fn members_with_names_of_the_language_keep_them() {
    let restriction = IpRestriction {
        id: "ipx_1".into(),
        uri: String::new(),
        created_at: Timestamp::from_unix(0),
        description: String::new(),
        metadata: String::new(),
        enforced: true,
        r#type: RestrictionType::Endpoints,
        ip_policies: Vec::new(),
    };
    let written = serde_json::to_value(&restriction).unwrap();
    assert_eq!((&written["type"], &written["ip_policies"]), (&json!("endpoints"), &json!([])));
}
