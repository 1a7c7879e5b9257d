//! Host names as the database keeps them: with their labels in reverse order, `com.example.app` and `com.example.*`. By bytes, everything
//! below a name is then one range, and what is above it are a few texts that can be looked up.

use std::iter::successors;

use portway_names::{HostName, HostNameError, HostPattern};

/// A place for each statement that looks some up: enough for a name of four labels and all that is above it.
pub(crate) const AT_ONCE: usize = 8;

/// The place of a host.
pub(crate) fn place(host: &HostPattern) -> String {
    let mut labels: Vec<&str> = host.name().labels().rev().collect();
    if host.is_wildcard() {
        labels.push("*");
    }
    labels.join(".")
}

/// The host at a place.
pub(crate) fn host(place: &str) -> Result<HostPattern, HostNameError> {
    place.rsplit('.').collect::<Vec<_>>().join(".").parse()
}

/// What lies between these two, neither of them included, is below the name; its own wildcard is, too.
pub(crate) fn below(name: &HostName) -> (String, String) {
    let place = place(&HostPattern::Exact(name.clone()));
    // The character after the dot.
    (format!("{place}."), format!("{place}/"))
}

/// The name and its wildcard, then each name above with its wildcard, nearest first; what covers more comes later.
pub(crate) fn lineage(name: &HostName) -> impl Iterator<Item = HostPattern> {
    let names = successors(Some(name.clone()), HostName::parent);
    names.flat_map(|name| [HostPattern::Wildcard(name.clone()), HostPattern::Exact(name)])
}

/// Texts for the values of one statement: the last one is repeated.
pub(crate) fn filled(places: &[String]) -> impl Iterator<Item = &String> {
    places.iter().chain(places.last().into_iter().cycle()).take(AT_ONCE)
}

#[cfg(test)]
mod tests {
    use portway_names::HostPattern;
    use proptest::prelude::*;

    use super::{below, filled, host, lineage, place};

    fn pattern(text: &str) -> HostPattern {
        text.parse().expect("a pattern")
    }

    #[test]
    fn labels_are_reversed() {
        assert_eq!(place(&pattern("app.example.com")), "com.example.app");
        assert_eq!(place(&pattern("*.example.com")), "com.example.*");
    }

    #[test]
    fn what_is_above_is_listed_nearest_first() {
        let above: Vec<String> = lineage(pattern("a.b.c").name()).map(|host| host.to_string()).collect();
        assert_eq!(above, ["*.a.b.c", "a.b.c", "*.b.c", "b.c", "*.c", "c"]);
    }

    #[test]
    fn values_are_filled_up() {
        let places = ["a".to_owned(), "b".to_owned()];
        assert_eq!(filled(&places).map(String::as_str).collect::<String>(), "abbbbbbb");
        assert_eq!(filled(&[]).count(), 0);
    }

    proptest! {
        #[test]
        fn the_range_is_what_is_below(name in "([ab-]_?[ab]\\.){0,2}c", other in "(\\*\\.)?([ab]_?-?[ab]?\\.){0,4}c") {
            let (Ok(name), Ok(other)) = (name.parse::<HostPattern>(), other.parse::<HostPattern>()) else { return Ok(()) };
            let (from, to) = below(name.name());
            let at = place(&other);
            let is_below = other.name().is_below(name.name()) || other == HostPattern::Wildcard(name.name().clone());
            prop_assert_eq!(from < at && at < to, is_below);
            prop_assert_eq!(host(&at), Ok(other));
        }
    }
}
