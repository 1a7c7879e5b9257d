//! Names that an installation keeps for itself.

use crate::HostName;

/// Labels below the base domain that the installation keeps for itself, with everything below them.
const RESERVED_LABELS: [&str; 5] = ["connect", "api", "dashboard", "admin", "www"];

/// Whether `name` is one of those that every installation keeps below its base domain, or lies below one. The base domain itself is none.
pub fn is_reserved(name: &HostName, base_domain: &HostName) -> bool {
    if !name.is_below(base_domain) {
        return false;
    }
    let above_base = base_domain.labels().count();
    let label = name.labels().rev().nth(above_base);
    label.is_some_and(|label| RESERVED_LABELS.contains(&label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_label_above_the_base_domain_decides() {
        let base = "example.com".parse().unwrap();
        for (name, reserved) in [
            ("api.example.com", true),
            ("v2.dashboard.example.com", true),
            ("example.com", false),
            ("api.app.example.com", false),
            ("xapi.example.com", false),
            ("api.example.net", false),
        ] {
            assert_eq!(is_reserved(&name.parse().unwrap(), &base), reserved, "{name}");
        }
    }
}
