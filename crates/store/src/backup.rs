//! Backups of an SQLite database, and the way back. PostgreSQL has programs of its own for both.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::error::Fault;
use crate::sql::query;
use crate::sqlite::beside;
use crate::{SCHEMA_VERSION, Store, StoreError, sqlite};

/// What SQLite keeps beside a database, and what a restore moves with it.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// Why there is no backup, or nothing was restored. The database is as it was.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The state is not in a file.
    #[error(
        "the state is in PostgreSQL; make backups with pg_dump --format=custom, restore them with pg_restore --clean while the server is \
         stopped, and keep master.key of the data directory with them"
    )]
    Server,
    /// Something has the name already.
    #[error("{} is there already; nothing is overwritten: choose another name", .0.display())]
    Exists(PathBuf),
    /// A file that could not be read or written.
    #[error("cannot use {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is no whole database of this program.
    #[error("{} is no backup that can be used: {detail}; nothing was changed", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        detail: String,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Writes one state of the database to a new file (mode 0600), while others go on reading and writing.
    ///
    /// # Errors
    /// [`BackupError`]; no file is left then.
    ///
    /// # Cancel safety
    /// Dropped half-way, a file that is not whole may stay.
    pub async fn backup(&self, to: &Path) -> Result<(), BackupError> {
        let Some(path) = self.file() else { return Err(BackupError::Server) };
        if fs::symlink_metadata(to).is_ok() {
            return Err(BackupError::Exists(to.to_path_buf()));
        }
        sqlite::copy(path, to).await.map_err(|fault| {
            let _ = fs::remove_file(to);
            match fault {
                Fault::File(source) => BackupError::File { path: to.to_path_buf(), source },
                fault => self.fault(fault).into(),
            }
        })
    }
}

/// Puts a backup in the place of the database file, which nobody may have open, and gives its feed a new epoch. A database that was there
/// is kept under another name, which is returned. The backup is checked first and stays as it is. Its schema may be older than this
/// program's: the next [`Store::open`] upgrades it.
///
/// # Errors
/// [`BackupError`]; [`StoreError::Newer`] in it when the backup is one of a newer program.
///
/// # Cancel safety
/// Dropped half-way, restore again.
pub async fn restore(backup: &Path, database: &Path, epoch: &str) -> Result<Option<PathBuf>, BackupError> {
    let fresh = beside(database, ".restoring");
    remove(&fresh)?;
    duplicate(backup, &fresh).map_err(|source| BackupError::File { path: backup.to_path_buf(), source })?;
    if let Err(error) = prepare(backup, &fresh, epoch).await {
        remove(&fresh)?;
        return Err(error);
    }
    if fs::symlink_metadata(database).is_ok()
        && let Ok(store) = Store::on_file(database).await
    {
        // Takes what a killed server left in the log into the file. A damaged file keeps its log beside it.
        let _ = store.schema_version().await;
        store.close().await;
    }
    let moved = |path: &Path, source| BackupError::File { path: path.to_path_buf(), source };
    let kept = put_aside(database).map_err(|source| moved(database, source))?;
    fs::rename(&fresh, database).map_err(|source| moved(&fresh, source))?;
    sqlite::sync_folder(database).map_err(|source| moved(database, source))?;
    Ok(kept)
}

/// Whether the copy of a backup is whole and of a version this program knows; its feed begins anew.
async fn prepare(backup: &Path, copy: &Path, epoch: &str) -> Result<(), BackupError> {
    let unusable = |detail: String| BackupError::Unusable { path: backup.to_path_buf(), detail };
    // The text of this error names the copy and tells to restore a backup.
    let failed = |error: StoreError| match error {
        StoreError::Corrupt { detail, .. } => unusable(detail),
        other => other.into(),
    };
    let store = Store::on_file(copy).await.map_err(failed)?;
    let looked = async {
        let version = store.schema_version().await.map_err(failed)?;
        if version > SCHEMA_VERSION {
            let database = backup.display().to_string();
            return Err(StoreError::Newer { database, found: version, known: SCHEMA_VERSION }.into());
        }
        if version == 0 {
            return Err(unusable("it is not the database of a Portway server".to_owned()));
        }
        let flaw = store.named(async { flaw(&store).await }).await.map_err(failed)?;
        match flaw {
            Some(flaw) => Err(unusable(flaw)),
            None => Ok(store.restart_feed(epoch).await?),
        }
    };
    let looked = looked.await;
    // Empties the log into the file.
    store.close().await;
    looked
}

/// What is wrong with a database; none when it is whole.
async fn flaw(store: &Store) -> Result<Option<String>, Fault> {
    let mut connection = store.reader().await?;
    let rows = query("PRAGMA integrity_check(1)").fetch_all(&mut connection).await?;
    if let Some(flaw) = rows.first() {
        let flaw: String = flaw.get("integrity_check")?;
        if flaw != "ok" {
            return Ok(Some(flaw));
        }
    }
    let rows = query("PRAGMA foreign_key_check").fetch_all(&mut connection).await?;
    Ok((!rows.is_empty()).then(|| format!("{} rows refer to what is not there", rows.len())))
}

/// Copies a file to a new one that only its owner reads.
fn duplicate(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    let mut target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    io::copy(&mut source, &mut target)?;
    target.sync_all()
}

/// Moves a database and what belongs to it to a name that is free. The file goes last: as long as it is there, nothing takes its place.
fn put_aside(database: &Path) -> io::Result<Option<PathBuf>> {
    if fs::symlink_metadata(database).is_err() {
        // A log without its database would be read into the next one.
        for companion in COMPANIONS {
            match fs::remove_file(beside(database, companion)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        return Ok(None);
    }
    let free = |path: &PathBuf| fs::symlink_metadata(path).is_err();
    let name = |number: u32| beside(database, &format!(".before-restore-{number}"));
    let kept = (1..).map(name).find(free).ok_or(io::ErrorKind::AlreadyExists)?;
    for companion in COMPANIONS.into_iter().chain([""]) {
        match fs::rename(beside(database, companion), beside(&kept, companion)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            moved => moved?,
        }
    }
    Ok(Some(kept))
}

/// Removes a database that nobody needs, if it is there.
fn remove(database: &Path) -> Result<(), BackupError> {
    for companion in COMPANIONS.into_iter().chain([""]) {
        let path = beside(database, companion);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(BackupError::File { path, source }),
            _ => {}
        }
    }
    Ok(())
}
