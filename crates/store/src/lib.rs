//! Durable records and transactions.
