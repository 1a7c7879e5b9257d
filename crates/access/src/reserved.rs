//! Names that belong to the installation, whoever asks for them.

use portway_names::HostName;

/// Labels below the base domain that the installation keeps for itself, with everything below them.
const LABELS: [&str; 5] = ["connect", "api", "dashboard", "admin", "www"];

/// Whether a name is the base domain itself, one of the labels that the installation keeps below it (`connect`, `api`, `dashboard`, `admin`,
/// `www`), or below one of these. Nobody may lease such a name, and no wildcard takes it in: whoever answered there could pose as the
/// installation.
pub fn is_reserved(name: &HostName, base_domain: &HostName) -> bool {
    if name == base_domain {
        return true;
    }
    if !name.is_below(base_domain) {
        return false;
    }
    let label = name.labels().rev().nth(base_domain.labels().count());
    label.is_some_and(|label| LABELS.contains(&label))
}

#[cfg(test)]
mod tests {
    use super::is_reserved;

    #[test]
    fn the_base_domain_and_five_labels_with_all_below_them() {
        let base = "portway.example".parse().unwrap();
        for (name, reserved) in [
            ("portway.example", true),
            ("connect.portway.example", true),
            ("api.portway.example", true),
            ("v2.api.portway.example", true),
            ("dashboard.portway.example", true),
            ("admin.portway.example", true),
            ("www.portway.example", true),
            ("app.portway.example", false),
            ("api.app.portway.example", false),
            ("xapi.portway.example", false),
            ("api.example", false),
            ("example", false),
        ] {
            assert_eq!(is_reserved(&name.parse().unwrap(), &base), reserved, "{name}");
        }
    }
}
