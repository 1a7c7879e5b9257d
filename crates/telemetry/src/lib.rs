//! Logs and metrics, installed once by the program.
