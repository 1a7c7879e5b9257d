//! How much a resource of the REST API may hold.

use crate::{Audit, Content, ResourceError};

/// Bytes of a body, and of each JSON text of an audit entry: more than any resource of the REST API needs, little enough to hold a page.
pub const RESOURCE_BODY_MAX: usize = 1 << 20;
/// Keys of one resource. Each is a row that is looked up in the transaction.
pub const RESOURCE_KEYS_MAX: usize = 64;
/// References of one resource, for the same reason.
pub const RESOURCE_REFS_MAX: usize = 1024;
/// Bytes of an id, kind, key and of each short text of an audit entry: index entries of both engines stay on one page.
pub const RESOURCE_TEXT_MAX: usize = 1024;

/// Limits, before anything is written.
pub(crate) fn check(id: &str, kind: &str, content: &Content, audit: &Audit) -> Result<(), ResourceError> {
    let short = [
        ("an id", id),
        ("a kind", kind),
        ("who", &audit.who),
        ("an address", &audit.address),
        ("an action", &audit.action),
    ];
    let lists = content.keys.iter().map(|key| ("a key", key)).chain(references(content).map(|id| ("a reference", id)));
    for (what, text) in short.into_iter().chain(lists.map(|(what, text)| (what, text.as_str()))) {
        check_text(what, text)?;
    }
    let long = [("a body", Some(&content.body)), ("before", audit.before.as_ref()), ("after", audit.after.as_ref())];
    for (what, text) in long {
        fits(what, text.map_or("", String::as_str), RESOURCE_BODY_MAX)?;
    }
    for (what, count, limit) in [
        ("keys", content.keys.len(), RESOURCE_KEYS_MAX),
        ("references", references(content).count(), RESOURCE_REFS_MAX),
    ] {
        if count > limit {
            return Err(ResourceError::Limit { what, limit });
        }
    }
    Ok(())
}

/// Whether a short text fits.
pub(crate) fn check_text(what: &'static str, text: &str) -> Result<(), ResourceError> {
    fits(what, text, RESOURCE_TEXT_MAX)
}

fn fits(what: &'static str, text: &str, limit: usize) -> Result<(), ResourceError> {
    match text.len() > limit || text.contains('\0') {
        true => Err(ResourceError::Limit { what, limit }),
        false => Ok(()),
    }
}

fn references(content: &Content) -> impl Iterator<Item = &String> {
    content.refs.iter().chain(&content.outside_refs)
}
