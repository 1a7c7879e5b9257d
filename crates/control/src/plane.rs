//! The control plane as one value: opened on a data directory, served to edges, run, closed.

use tokio_util::sync::CancellationToken;

use crate::{Bootstrap, ControlConfig, ControlService, OpenError};

/// A control plane on its data directory.
#[derive(Debug)]
pub struct Control {
    service: ControlService,
    ca_pem: String,
    bootstrap: Option<Bootstrap>,
}

impl Control {
    /// Opens or makes the data directory, and issues what is missing.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(config: ControlConfig) -> Result<Control, OpenError> {
        let _ = config;
        Ok(Control { service: ControlService {}, ca_pem: String::new(), bootstrap: None })
    }

    /// The secrets of the first start, until [`Control::confirm_bootstrap_written`].
    pub fn bootstrap(&self) -> Option<&Bootstrap> {
        self.bootstrap.as_ref()
    }

    /// Says that the secrets of [`Control::bootstrap`] are safely on disk. A start that never says so leaves the next start to make new
    /// ones and revoke these.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn confirm_bootstrap_written(&mut self) -> Result<(), OpenError> {
        self.bootstrap = None;
        Ok(())
    }

    /// What edges call. Cheap to clone.
    pub fn service(&self) -> ControlService {
        self.service.clone()
    }

    /// The certificate of the internal CA, PEM. The same text is in `ca.pem` of the data directory.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Runs what the control plane does by itself, until `stop`: certificate renewal, the change feed's tail, the end of leases.
    pub async fn run(&self, stop: CancellationToken) {
        stop.cancelled().await;
    }

    /// Writes out and gives the data directory free.
    pub async fn close(self) {}
}
