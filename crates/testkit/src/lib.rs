//! Whole-system tests: cluster in process, simulated link, PKI, recording upstreams.
