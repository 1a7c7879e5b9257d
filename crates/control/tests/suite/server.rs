//! A control plane whose state is in PostgreSQL.

use portway_control::admin::Admin;
use portway_control::{Control, DatabaseUrl, OpenError};
use secrecy::ExposeSecret;

use crate::postgres::Database;
use crate::{Replica, Running, config, sha256};

#[tokio::test]
async fn state_is_in_the_database_and_the_key_in_the_directory() {
    let Some(database) = Database::make().await else { return };
    let url = DatabaseUrl::new(database.url());
    let running = Running::start_with(|config| config.database_url = Some(url.clone())).await;
    let mut updates = running.watch("edge", "", 0).await;
    let mut replica = Replica::default();
    replica.follow(&mut updates, |replica| replica.snapshots == 1).await.unwrap();
    assert!(!running.dir.path().join("portway.db").exists());

    let admin = Admin::connect(&url).await.unwrap();
    let (id, token) = admin.create_authtoken("beside the server", &[]).await.unwrap();
    let id = id.to_string();
    replica.follow(&mut updates, |replica| replica.resources.contains_key(&id)).await.unwrap();
    let digest = sha256(token.expose_secret()).as_bytes().to_vec().into();
    let asked = portway_proto::control::v1::AuthenticateRequest { digest };
    assert_eq!(running.client.authenticate(asked).await.unwrap().credential.unwrap().id, id);
    let granted = running.client.claim(running.wish(1, "https://app.portway.localhost").await).await.unwrap();
    assert!(granted.lease.is_some(), "{granted:?}");

    // Another directory has another master key: secrets of the database do not open, and none is replaced.
    let other = tempfile::tempdir().unwrap();
    let mut elsewhere = config(other.path());
    elsewhere.database_url = Some(url);
    let refused = Control::open(elsewhere).await.unwrap_err();
    assert!(matches!(refused, OpenError::MasterKeyMissing { .. }), "{refused}");
}
