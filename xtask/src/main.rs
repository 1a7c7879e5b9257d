//! The project's own tasks. `cargo xtask` lists them.

mod codegen;

use std::path::PathBuf;

use anyhow::{Context, Result};

fn main() -> Result<()> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().context("xtask has a parent folder")?.to_path_buf();
    codegen::run(&root, std::env::args().any(|a| a == "--check"))
}
