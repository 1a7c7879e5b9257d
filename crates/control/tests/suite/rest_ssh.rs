//! SSH certificate authorities and what they sign, through the REST interface and as OpenSSH reads it.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use ssh_key::{Algorithm, Certificate, EcdsaCurve, PrivateKey, PublicKey};

use crate::Running;

const DAY: i64 = 24 * 60 * 60;

fn user_key(algorithm: Algorithm) -> String {
    let mut key = PrivateKey::random(&mut rand::rng(), algorithm).unwrap();
    key.set_comment("me@example.com");
    key.public_key().to_openssh().unwrap()
}

/// What `ssh-keygen -L` says of a certificate; none where there is no OpenSSH.
fn keygen(dir: &Path, certificate: &str) -> Option<String> {
    let file = dir.join("test-cert.pub");
    std::fs::write(&file, certificate).unwrap();
    let output = match Command::new("ssh-keygen").arg("-L").arg("-f").arg(&file).output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("skipped: ssh-keygen: {error}");
            return None;
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

fn seconds(time: &Value) -> i64 {
    let time = time::OffsetDateTime::parse(time.as_str().unwrap(), &time::format_description::well_known::Rfc3339);
    time.unwrap().unix_timestamp()
}

#[tokio::test]
async fn authorities_of_every_kind_sign_what_openssh_reads() {
    let running = Running::start().await;
    for (wish, begins) in [
        (json!({}), "ssh-ed25519 "),
        (json!({"private_key_type": "ecdsa"}), "ecdsa-sha2-nistp256 "),
        (json!({"private_key_type": "ecdsa", "elliptic_curve": "384"}), "ecdsa-sha2-nistp384 "),
        (json!({"private_key_type": "ecdsa", "elliptic_curve": "521"}), "ecdsa-sha2-nistp521 "),
        (json!({"private_key_type": "rsa", "key_size": 2048}), "ssh-rsa "),
    ] {
        let authority = running.done("POST", "/ssh_certificate_authorities", wish.clone()).await;
        let public: PublicKey = authority["public_key"].as_str().unwrap().parse().unwrap();
        assert!(authority["public_key"].as_str().unwrap().starts_with(begins));
        let kind = wish.get("private_key_type").unwrap_or(&json!("ed25519")).clone();
        assert_eq!(authority["key_type"], kind);
        assert!(!authority.to_string().contains("PRIVATE") && authority.get("private_key").is_none());
        let body = json!({
            "ssh_certificate_authority_id": authority["id"], "public_key": user_key(Algorithm::Ed25519),
            "principals": ["web.example.com", "10.0.0.1"]
        });
        let made = running.done("POST", "/ssh_host_certificates", body).await;
        let text = made["certificate"].as_str().unwrap();
        let certificate: Certificate = text.parse().unwrap();
        certificate.validate([&public.fingerprint(Default::default())]).unwrap();
        if let Some(said) = keygen(running.dir.path(), text) {
            for line in ["ssh-ed25519-cert-v01@openssh.com host certificate", "web.example.com", "10.0.0.1"] {
                assert!(said.contains(line), "{said}");
            }
            assert!(said.contains(&format!("Key ID: {}", made["id"])), "{said}");
        }
    }
}

#[tokio::test]
async fn what_is_left_out_has_the_documented_defaults() {
    let running = Running::start().await;
    let authority = running.done("POST", "/ssh_certificate_authorities", json!({})).await["id"].clone();
    let user = user_key(Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 });
    let host = json!({"ssh_certificate_authority_id": authority, "public_key": user});
    let made = running.done("POST", "/ssh_host_certificates", host.clone()).await;
    assert_eq!(seconds(&made["valid_until"]) - seconds(&made["valid_after"]), 365 * DAY);
    assert_eq!(made["valid_after"], made["created_at"]);
    assert_eq!(
        (&made["principals"], &made["key_type"], &made["public_key"]),
        (&json!([]), &json!("ecdsa"), &json!(user))
    );

    // As the Python client writes it.
    let mut wish = host.clone();
    wish["extensions"] = json!({});
    let made = running.done("POST", "/ssh_user_certificates", wish.clone()).await;
    assert_eq!(seconds(&made["valid_until"]) - seconds(&made["valid_after"]), DAY);
    assert_eq!(made["extensions"], json!({"permit-pty": "", "permit-user-rc": ""}));
    assert_eq!(made["critical_options"], json!({}));
    wish["extensions"] = json!({"permit-port-forwarding": ""});
    wish["critical_options"] = json!({"force-command": "uptime", "source-address": "10.0.0.0/8"});
    wish["principals"] = json!(["root"]);
    (wish["valid_after"], wish["valid_until"]) = (json!("2024-02-16T19:35:10Z"), json!("2044-02-16T19:35:10Z"));
    let made = running.done("POST", "/ssh_user_certificates", wish.clone()).await;
    if let Some(said) = keygen(running.dir.path(), made["certificate"].as_str().unwrap()) {
        for line in ["user certificate", "root", "force-command uptime", "source-address 10.0.0.0/8"] {
            assert!(said.contains(line), "{said}");
        }
        assert!(said.contains("permit-port-forwarding") && !said.contains("permit-pty"), "{said}");
    }
    let path = format!("/ssh_user_certificates/{}", made["id"].as_str().unwrap());
    assert_eq!(running.done("GET", &path, Value::Null).await, made);
    let changed = running.done("PATCH", &path, json!({"description": "mine"})).await;
    assert_eq!((&changed["description"], &changed["certificate"]), (&json!("mine"), &made["certificate"]));
    let list = running.done("GET", "/ssh_user_certificates", Value::Null).await;
    assert_eq!(list["ssh_user_certificates"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_cannot_be_signed_is_refused_and_authorities_in_use_stay() {
    let running = Running::start().await;
    let authority = running.done("POST", "/ssh_certificate_authorities", json!({})).await["id"].clone();
    let key = user_key(Algorithm::Ed25519);
    let nowhere = format!("sshca_{}", "0".repeat(27));
    let past = "2020-01-01T00:00:00Z";
    for (path, body, refused) in [
        ("/ssh_host_certificates", json!({"ssh_certificate_authority_id": nowhere, "public_key": key}), (404, 1949)),
        ("/ssh_user_certificates", json!({"ssh_certificate_authority_id": authority}), (400, 1952)),
        ("/ssh_user_certificates", json!({"ssh_certificate_authority_id": authority, "public_key": "x"}), (400, 1934)),
        (
            "/ssh_user_certificates",
            json!({"ssh_certificate_authority_id": authority, "public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5"}),
            (400, 1934),
        ),
        (
            "/ssh_user_certificates",
            json!({"ssh_certificate_authority_id": authority, "public_key": key, "valid_until": past}),
            (400, 1962),
        ),
        (
            "/ssh_host_certificates",
            json!({"ssh_certificate_authority_id": authority, "public_key": key, "valid_until": past}),
            (400, 1963),
        ),
        ("/ssh_certificate_authorities", json!({"private_key_type": "dsa"}), (400, 1936)),
        ("/ssh_certificate_authorities", json!({"private_key_type": "rsa", "key_size": 1024}), (400, 1939)),
        ("/ssh_certificate_authorities", json!({"private_key_type": "ecdsa", "key_size": 2048}), (400, 1940)),
        ("/ssh_certificate_authorities", json!({"private_key_type": "ecdsa", "elliptic_curve": "25519"}), (400, 1941)),
        ("/ssh_certificate_authorities", json!({"private_key_type": "rsa", "elliptic_curve": "256"}), (400, 1942)),
    ] {
        let (status, code) = running.refused("POST", path, body).await;
        assert_eq!((status, code), (refused.0, format!("ERR_NGROK_{}", refused.1)));
    }
    let body = json!({"ssh_certificate_authority_id": authority, "public_key": key});
    let made = running.done("POST", "/ssh_host_certificates", body).await;
    let path = format!("/ssh_certificate_authorities/{}", authority.as_str().unwrap());
    assert_eq!(running.refused("DELETE", &path, Value::Null).await, (409, "ERR_NGROK_1964".to_owned()));
    running.done("DELETE", &format!("/ssh_host_certificates/{}", made["id"].as_str().unwrap()), Value::Null).await;
    running.done("DELETE", &path, Value::Null).await;
}
