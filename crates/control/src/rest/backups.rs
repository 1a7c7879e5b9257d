//! Backups of the database, made on the server's host. They hold what all accounts have, so they are the operator's.

use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use portway_codes::{Code, PublicError};
use portway_names::BackupId;
use portway_store::BackupError;
use serde::{Deserialize, Serialize};

use super::accounts::{is_operator, operators_only};
use super::call::{Answer, Call, time};
use super::crud;
use super::kind::{Draft, Kept, Kind, Row};
use super::refusal::{damaged, unwritable};
use crate::random;

pub(crate) static BACKUP: Kind = Kind::of::<BackupMade>();

/// The folder in the data directory.
const FOLDER: &str = "backups";

/// A backup that was made.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BackupMade {
    path: String,
    size: u64,
    sha256: String,
}

/// Performs an operation of backups.
pub(crate) async fn perform(call: &Call<'_>) -> Result<Answer, PublicError> {
    if !is_operator(call).await? {
        return Err(operators_only());
    }
    match call.verb() {
        "create" => create(call).await,
        "delete" => delete(call).await,
        _ => crud::perform(call, &BACKUP).await,
    }
}

async fn create(call: &Call<'_>) -> Result<Answer, PublicError> {
    let id = (BACKUP.fresh_id)(random::ksuid(call.now));
    let (folder, file) = places(call, &id);
    let file = std::path::absolute(file).map_err(damaged)?;
    private_folder(&folder).map_err(damaged)?;
    call.inner.store.backup(&file).await.map_err(not_made)?;
    let made = tokio::task::spawn_blocking(move || measured(&file)).await;
    let made = made.map_err(damaged)?.map_err(damaged)?;
    crud::insert(call, &BACKUP, Draft::new(call, id, &made)).await
}

async fn delete(call: &Call<'_>) -> Result<Answer, PublicError> {
    // Not where the row says: it may have come with a restored database from another machine.
    let (_, file) = places(call, &(BACKUP.stored_id)(call.parameters.get("id"))?);
    let answer = crud::delete(call, &BACKUP).await?;
    match tokio::fs::remove_file(&file).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(%error, file = %file.display(), "the file of a deleted backup cannot be removed");
        }
        _ => {}
    }
    Ok(answer)
}

/// The folder of backups, and the file of this one.
fn places(call: &Call<'_>, id: &str) -> (PathBuf, PathBuf) {
    let folder = call.inner.data_dir.join(FOLDER);
    let file = folder.join(format!("{id}.db"));
    (folder, file)
}

/// Makes the folder, for its owner alone.
fn private_folder(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn measured(file: &PathBuf) -> std::io::Result<BackupMade> {
    let mut hash = Hashing(Context::new(&SHA256));
    let size = std::io::copy(&mut fs::File::open(file)?, &mut hash)?;
    let digest = hash.0.finish();
    let sha256 = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(BackupMade { path: file.display().to_string(), size, sha256 })
}

struct Hashing(Context);

impl std::io::Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn not_made(error: BackupError) -> PublicError {
    match error {
        BackupError::Server => Code::ERR_PORTWAY_40906.plain(),
        BackupError::Store(error) => unwritable(error),
        error => damaged(error),
    }
}

impl Kept for BackupMade {
    const KIND: &'static str = "backup";
    const COLLECTION: &'static str = "/portway/v1/backups";
    type Id = BackupId;
    type Create = portway_api::SettingsUpdate;
    type Update = portway_api::SettingsUpdate;
    type Reply = portway_api::Backup;

    fn update(&mut self, _: &Call<'_>, _: &str, _: portway_api::SettingsUpdate) -> Result<(), PublicError> {
        Err(portway_api::not_found())
    }

    fn reply(&self, call: &Call<'_>, row: &Row<'_>) -> portway_api::Backup {
        portway_api::Backup {
            id: row.id.to_owned(),
            uri: call.base.resource(Self::COLLECTION, row.id),
            created_at: time(row.created),
            path: self.path.clone(),
            size: self.size,
            sha256: self.sha256.clone(),
        }
    }
}
