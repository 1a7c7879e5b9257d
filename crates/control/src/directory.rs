//! The data directory: who may read it, who holds it, and files that are whole or not there.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags};
use zeroize::Zeroizing;

use crate::OpenError;
use crate::seal::{KEY_LEN, MasterKey};

/// The database.
pub(crate) const DATABASE: &str = "portway.db";
/// The CA's certificate, for everybody to read.
pub(crate) const CA_CERTIFICATE: &str = "ca.pem";
const MASTER_KEY: &str = "master.key";
/// Files that only their owner may read. An older program, a backup or an operator's hand may have left them open.
const PRIVATE: [&str; 5] = [MASTER_KEY, DATABASE, "portway.db-wal", "portway.db-shm", "bootstrap.json"];
/// Held while a server runs on the directory; holds its process id.
const LOCK: &str = "lock";

/// A data directory held by this process. Dropping it gives it free.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// Locked until it is closed, also by a kill.
    _lock: File,
}

impl DataDir {
    /// Makes the directory if need be, closes it to others, and takes its lock.
    ///
    /// # Errors
    /// [`OpenError::Locked`] when another server runs on it, [`OpenError::Io`] when it cannot be used.
    pub fn hold(path: &Path) -> Result<DataDir, OpenError> {
        let failed = |source| OpenError::Io { path: path.to_path_buf(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        // It may be older than this program, or made by hand.
        let permissions = fs::metadata(path).map_err(failed)?.permissions();
        if permissions.mode() & 0o077 != 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(failed)?;
        }
        let lock = lock(path)?;
        for name in PRIVATE {
            close_to_others(&path.join(name));
        }
        Ok(DataDir { path: path.to_path_buf(), _lock: lock })
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The master key; `None` when there is none yet.
    pub(crate) fn master_key(&self) -> Result<Option<MasterKey>, OpenError> {
        let path = self.file(MASTER_KEY);
        let key = match fs::read(&path) {
            Ok(key) => Zeroizing::new(key),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(OpenError::Io { path, source }),
        };
        match key.as_slice().try_into() {
            Ok(key) => Ok(Some(MasterKey::new(key))),
            Err(_) => Err(OpenError::MasterKeyMalformed { path, len: key.len() }),
        }
    }

    /// Makes a master key.
    pub(crate) fn make_master_key(&self) -> Result<MasterKey, OpenError> {
        let key = Zeroizing::new(crate::random::bytes::<KEY_LEN>());
        self.write(MASTER_KEY, key.as_slice(), 0o600)?;
        Ok(MasterKey::new(&key))
    }

    /// Where the master key is or belongs.
    pub(crate) fn master_key_path(&self) -> PathBuf {
        self.file(MASTER_KEY)
    }

    /// Writes a file whole: whoever looks sees the old one or the new one, also after a crash.
    pub(crate) fn write(&self, name: &str, content: &[u8], mode: u32) -> Result<(), OpenError> {
        let path = self.file(name);
        let partial = self.file(&format!(".{name}.partial"));
        let written = || -> io::Result<()> {
            // What a crash left may have other rights.
            match fs::remove_file(&partial) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&partial)?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&partial, &path)?;
            File::open(&self.path)?.sync_all()
        };
        written().map_err(|source| OpenError::Io { path, source })
    }
}

/// Opens a file for writing that is ours alone, and makes it when it is not there. Through a link the lock would be written into
/// whatever it leads to.
fn open_own(path: &Path) -> Result<File, OpenError> {
    let failed = |source| OpenError::Io { path: path.to_path_buf(), source };
    let foreign = |what| OpenError::Foreign { path: path.to_path_buf(), what };
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags.bits().cast_signed())
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Err(foreign("a symbolic link"));
        }
        Err(error) => return Err(failed(error)),
    };
    let found = file.metadata().map_err(failed)?;
    if !found.is_file() {
        return Err(foreign("no regular file"));
    }
    if found.nlink() > 1 {
        return Err(foreign("a file that has other names as well"));
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(foreign("a file of another user"));
    }
    Ok(file)
}

/// Takes the rights of others from a file of ours, and says so: what stood there may have been read.
fn close_to_others(path: &Path) {
    let Ok(found) = fs::symlink_metadata(path) else { return };
    let mode = found.permissions().mode() & 0o777;
    if !found.is_file() || mode & 0o077 == 0 {
        return;
    }
    let closed = fs::set_permissions(path, fs::Permissions::from_mode(0o600));
    let (path, mode) = (path.display(), format!("{mode:04o}"));
    match closed {
        Ok(()) => tracing::warn!(%path, mode, "others could read this file; it is closed to them now"),
        Err(error) => tracing::warn!(%path, mode, %error, "others can read this file; close it to them: chmod 600"),
    }
}

fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join(LOCK);
    let failed = |source| OpenError::Io { path: path.clone(), source };
    let mut file = open_own(&path)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut holder = String::new();
            // Best effort: the text below is clear without it, too.
            let _ = file.read_to_string(&mut holder);
            return Err(OpenError::Locked { dir: dir.to_path_buf(), holder: holder.trim().parse().ok() });
        }
        Err(error) => return Err(failed(error.into())),
    }
    let mut announced = || -> io::Result<()> {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    announced().map_err(failed)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::DataDir;
    use crate::OpenError;

    #[test]
    fn the_second_holder_is_refused_with_the_firsts_process_id() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        let held = DataDir::hold(&path).unwrap();
        let refused = DataDir::hold(&path).unwrap_err();
        assert!(
            matches!(refused, OpenError::Locked { holder: Some(pid), .. } if pid == std::process::id()),
            "{refused}"
        );
        let text = refused.to_string();
        assert!(text.contains(path.to_str().unwrap()) && text.contains(&std::process::id().to_string()), "{text}");
        drop(held);
        DataDir::hold(&path).unwrap();
    }

    #[test]
    fn rights_are_closed_also_on_an_old_directory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let held = DataDir::hold(&path).unwrap();
        held.make_master_key().unwrap();
        held.write("ca.pem", b"x", 0o644).unwrap();
        let mode = |name: &str| fs::metadata(path.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(""), mode("master.key"), mode("lock"), mode("ca.pem")), (0o700, 0o600, 0o600, 0o644));
    }

    #[test]
    fn files_that_others_could_read_are_closed_to_them() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["master.key", "portway.db", "bootstrap.json", "ca.pem"] {
            fs::write(dir.path().join(name), [1; 32]).unwrap();
            fs::set_permissions(dir.path().join(name), fs::Permissions::from_mode(0o644)).unwrap();
        }
        let _held = DataDir::hold(dir.path()).unwrap();
        let mode = |name: &str| fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(["master.key", "portway.db", "bootstrap.json"].map(mode), [0o600; 3]);
        assert_eq!(mode("ca.pem"), 0o644, "the certificate is for everybody");
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (data, victim) = (dir.path().join("data"), dir.path().join("victim"));
        fs::create_dir(&data).unwrap();
        fs::write(&victim, "precious").unwrap();
        let link = |name: &str| std::os::unix::fs::symlink(&victim, data.join(name)).unwrap();
        link("lock");
        let refused = DataDir::hold(&data).unwrap_err();
        assert!(matches!(refused, OpenError::Foreign { what: "a symbolic link", .. }), "{refused}");
        assert!(refused.to_string().contains("/data/lock is a symbolic link"), "{refused}");
        fs::remove_file(data.join("lock")).unwrap();
        fs::hard_link(&victim, data.join("lock")).unwrap();
        let refused = DataDir::hold(&data).unwrap_err();
        assert!(matches!(refused, OpenError::Foreign { .. }), "{refused}");
        fs::remove_file(data.join("lock")).unwrap();

        let held = DataDir::hold(&data).unwrap();
        for name in ["ca.pem", ".ca.pem.partial", "bootstrap.json", ".bootstrap.json.partial"] {
            link(name);
        }
        held.write("ca.pem", b"new", 0o644).unwrap();
        held.write("bootstrap.json", b"new", 0o600).unwrap();
        for name in ["ca.pem", "bootstrap.json"] {
            assert!(fs::symlink_metadata(data.join(name)).unwrap().is_file(), "{name}");
            assert_eq!(fs::read(data.join(name)).unwrap(), b"new", "{name}");
        }
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
    }

    #[test]
    fn a_master_key_is_read_back_and_a_broken_one_refused() {
        let dir = tempfile::tempdir().unwrap();
        let held = DataDir::hold(dir.path()).unwrap();
        assert!(held.master_key().unwrap().is_none());
        let sealed = held.make_master_key().unwrap().seal("here", b"secret");
        assert_eq!(held.master_key().unwrap().unwrap().open("here", &sealed).unwrap().as_slice(), b"secret");
        fs::write(held.master_key_path(), [0; 31]).unwrap();
        assert!(matches!(held.master_key(), Err(OpenError::MasterKeyMalformed { len: 31, .. })));
    }

    #[test]
    fn what_a_crash_left_half_written_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let held = DataDir::hold(dir.path()).unwrap();
        fs::write(dir.path().join(".master.key.partial"), b"half").unwrap();
        held.make_master_key().unwrap();
        assert!(held.master_key().unwrap().is_some());
        assert!(!dir.path().join(".master.key.partial").exists());
    }
}
