//! The SSH front of a server: its host keys are made once and kept sealed.

use std::io;
use std::sync::Arc;

use portway_control::Control;
use portway_edge::{HostKeyError, HostKeys, SshFront, SshLimits};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::StartError;

/// Name of the host keys among the secrets that the control plane keeps.
const HOST_KEYS: &str = "ssh host keys";
/// Stands between the host keys where they are kept; no key in OpenSSH's form has it.
const HOST_KEY_END: &str = "\0";

/// The SSH front with the installation's host keys, which are made on the first start.
pub(crate) async fn front(control: &Control) -> Result<Arc<SshFront>, StartError> {
    let unusable = |source: HostKeyError| StartError::Io { what: "SSH host keys", source: io::Error::other(source) };
    let kept = match control.secret(HOST_KEYS).await? {
        Some(kept) => kept,
        None => {
            let fresh = HostKeys::generate().map_err(unusable)?.to_openssh().map_err(unusable)?;
            let joined = fresh.iter().map(ExposeSecret::expose_secret).collect::<Vec<_>>().join(HOST_KEY_END);
            let joined = Zeroizing::new(joined.into_bytes());
            control.keep_secret(HOST_KEYS, &joined).await?;
            joined
        }
    };
    let texts: Vec<SecretString> = String::from_utf8_lossy(&kept).split(HOST_KEY_END).map(SecretString::from).collect();
    let keys = HostKeys::from_openssh(&texts).map_err(unusable)?;
    for (public, fingerprint) in keys.public().iter().zip(keys.fingerprints()) {
        // For whoever publishes them: users compare.
        tracing::info!(%fingerprint, %public, "SSH host key");
    }
    Ok(Arc::new(SshFront::new(&keys, SshLimits::default())))
}
