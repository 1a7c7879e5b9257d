//! The control plane: accounts, credentials, certificates, leases, and the snapshot every edge follows.
