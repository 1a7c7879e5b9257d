//! TLS configurations, hot-swapped certificate resolver and root sets.
