//! Wake-ups between the parts of the control plane: change feed and leases, in process.
