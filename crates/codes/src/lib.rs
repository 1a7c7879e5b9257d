//! The catalogue of public error codes: number, HTTP status, title and text.
