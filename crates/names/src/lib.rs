//! Words of Portway: typed ids, host names, patterns, host table, endpoint and connect URLs.
