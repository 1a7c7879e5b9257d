//! `cargo xtask codegen`: Rust from the files in `proto/`, without a system `protoc`.
//!
//! Messages go to `crates/proto/src/gen`, service stubs to `crates/rpc/src/gen`, so that the message crate stays free of tonic.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use prost::Message;
use tonic_prost_build::Config;

/// Files compiled, relative to `proto/`.
const FILES: &[&str] = &["portway/agent/v1/agent.proto", "portway/control/v1/control.proto"];

/// Files generated, and the folder below the workspace root each belongs to.
const OUTPUT: &[(&str, &str)] = &[
    ("messages/portway.agent.v1.rs", "crates/proto/src/gen/portway.agent.v1.rs"),
    ("messages/portway.control.v1.rs", "crates/proto/src/gen/portway.control.v1.rs"),
    ("services/portway.control.v1.rs", "crates/rpc/src/gen/portway.control.v1.rs"),
];

/// Writes the generated files; with `check` compares instead and fails on a difference.
pub(crate) fn run(root: &Path, check: bool) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    generate(root, scratch.path())?;
    let mut stale = Vec::new();
    for (from, to) in OUTPUT {
        let fresh =
            fs::read_to_string(scratch.path().join(from)).with_context(|| format!("nothing generated for {to}"))?;
        let target = root.join(to);
        if check {
            if fs::read_to_string(&target).unwrap_or_default() != fresh {
                stale.push(*to);
            }
        } else {
            fs::create_dir_all(target.parent().context("no parent")?)?;
            fs::write(&target, fresh).with_context(|| format!("writing {}", target.display()))?;
        }
    }
    if !stale.is_empty() {
        bail!("generated code is stale: {}; run `cargo xtask codegen`", stale.join(", "));
    }
    Ok(())
}

fn generate(root: &Path, out: &Path) -> Result<()> {
    let mut compiler = protox::Compiler::new([root.join("proto")])?;
    compiler.include_source_info(true).include_imports(true).open_files(FILES.iter().map(PathBuf::from))?;
    let descriptors = compiler.encode_file_descriptor_set();
    let descriptors = prost_types::FileDescriptorSet::decode(descriptors.as_slice())?;

    let messages = out.join("messages");
    fs::create_dir_all(&messages)?;
    tonic_prost_build::configure()
        .build_client(false)
        .build_server(false)
        .out_dir(&messages)
        .compile_fds_with_config(descriptors.clone(), message_config())?;

    let services = out.join("services");
    fs::create_dir_all(&services)?;
    let mut config = Config::new();
    config.out_dir(&services);
    tonic_prost_build::configure()
        .extern_path(".portway", "::portway_proto")
        .out_dir(&services)
        .compile_fds_with_config(descriptors, config)?;
    Ok(())
}

/// Messages with a secret in them. Their `Debug` is written by hand in `crates/proto/src/redact.rs` and leaves it out.
const SECRET: &[&str] = &[".portway.agent.v1.Hello", ".portway.control.v1.Certificate"];

/// `bytes` fields become `Bytes`, so that a decoded message shares the buffer it came in.
fn message_config() -> Config {
    let mut config = Config::new();
    config.bytes(["."]).skip_debug(SECRET);
    config
}
