//! The SDKs that are tested, each at an exact version.

use std::path::PathBuf;

/// How an SDK is installed and run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Language {
    Python,
    Node,
    Rust,
    Go,
    Java,
    Ssh,
}

impl Language {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Node => "node",
            Self::Rust => "rust",
            Self::Go => "go",
            Self::Java => "java",
            Self::Ssh => "ssh",
        }
    }
}

/// An SDK of the suite.
#[derive(Debug)]
pub(super) struct Sdk {
    /// Unique: language, and what tells versions apart.
    pub(super) name: &'static str,
    pub(super) language: Language,
    pub(super) package: &'static str,
    /// As pinned in `compat/`.
    pub(super) version: &'static str,
    /// Its folder or file below `compat/<language>`, where versions have their own.
    pub(super) variant: &'static str,
    /// Its TLS library verifies names only, no addresses: it dials the connect name.
    pub(super) needs_name: bool,
}

/// An SDK that is installed: the command of its program, without the scenario.
pub(super) struct Installed {
    pub(super) sdk: &'static Sdk,
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<PathBuf>,
}

const fn sdk(
    name: &'static str,
    language: Language,
    package: &'static str,
    version: &'static str,
    variant: &'static str,
) -> Sdk {
    Sdk { name, language, package, version, variant, needs_name: false }
}

const fn by_name(sdk: Sdk) -> Sdk {
    Sdk { needs_name: true, ..sdk }
}

/// The newest version of each, and the oldest that installs, runs and can be given an address and a CA.
pub(super) const SDKS: &[Sdk] = &[
    sdk("python-newest", Language::Python, "PyPI ngrok", "1.4.0", "newest"),
    by_name(sdk("python-oldest", Language::Python, "PyPI ngrok", "0.5.0", "oldest")),
    sdk("node-newest", Language::Node, "npm @ngrok/ngrok", "1.7.0", "newest"),
    by_name(sdk("node-oldest", Language::Node, "npm @ngrok/ngrok", "0.5.2", "oldest")),
    sdk("rust-newest", Language::Rust, "crates.io ngrok", "0.19.0", "newest"),
    by_name(sdk("rust-oldest", Language::Rust, "crates.io ngrok", "0.13.1", "oldest")),
    sdk("go-v2-newest", Language::Go, "golang.ngrok.com/ngrok/v2", "v2.4.0", "v2/go.mod"),
    sdk("go-v2-oldest", Language::Go, "golang.ngrok.com/ngrok/v2", "v2.0.0", "v2/oldest.mod"),
    sdk("go-v1-newest", Language::Go, "golang.ngrok.com/ngrok", "v1.12.1", "v1/go.mod"),
    sdk("go-v1-oldest", Language::Go, "golang.ngrok.com/ngrok", "v1.4.0", "v1/oldest.mod"),
    sdk("java", Language::Java, "com.ngrok:ngrok-java", "1.0.1", ""),
    sdk("ssh", Language::Ssh, "OpenSSH", "the system's", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_begin_with_the_language() {
        for (index, sdk) in SDKS.iter().enumerate() {
            assert!(sdk.name.starts_with(sdk.language.name()), "{}", sdk.name);
            assert!(SDKS[..index].iter().all(|other| other.name != sdk.name), "{}", sdk.name);
        }
    }
}
