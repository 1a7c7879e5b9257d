//! The SSH front of a server: its host keys are made once and kept sealed.

use std::io;
use std::sync::Arc;

use portway_control::Control;
use portway_edge::{HostKeyError, HostKeys, SshFront, SshLimits};
use secrecy::{ExposeSecret, SecretString};

use crate::StartError;

/// Stands between the host keys where they are kept; no key in OpenSSH's form has it.
const HOST_KEY_END: &str = "\0";

/// The SSH front with the installation's host keys, which are made on the first start.
pub(crate) async fn front(control: &Control) -> Result<Arc<SshFront>, StartError> {
    let unusable = |source: HostKeyError| StartError::Io { what: "SSH host keys", source: io::Error::other(source) };
    let fresh = HostKeys::generate().map_err(unusable)?.to_openssh().map_err(unusable)?;
    let joined = || fresh.iter().map(ExposeSecret::expose_secret).collect::<Vec<_>>().join(HOST_KEY_END);
    let kept = control.secret_or_make("ssh host keys", || joined().into_bytes().into()).await?;
    let texts: Vec<SecretString> = String::from_utf8_lossy(&kept).split(HOST_KEY_END).map(SecretString::from).collect();
    let keys = HostKeys::from_openssh(&texts).map_err(unusable)?;
    Ok(Arc::new(SshFront::new(&keys, SshLimits::default())))
}
