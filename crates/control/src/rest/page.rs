//! Pages of lists, wherever the objects come from.

use futures_util::future::BoxFuture;
use portway_api::{Answer as Reply, not_found};
use portway_codes::PublicError;
use serde_json::Value;

use super::call::{Answer, Call, time};

/// Objects that one call looks at for its filter. A page may be shorter than was asked for, and says where the next one begins.
const SCANNED_MAX: usize = 10_000;
/// Objects read at once.
const READ_AT_ONCE: u32 = 500;

/// An object on the way to a page.
#[derive(Debug)]
pub(crate) struct Found {
    /// Its id, as the interface shows it.
    pub(crate) id: String,
    /// How it is given back; none when it does not belong to the list.
    pub(crate) reply: Option<Value>,
}

/// Objects being read. Boxed, so that it is plain to the compiler that any thread may go on with it.
pub(crate) type Reading<'a> = BoxFuture<'a, Result<Vec<Found>, PublicError>>;

/// A page of the objects that `read` yields: newest first, those behind an id or all, at most as many as it is asked for.
pub(crate) async fn page<'a>(
    call: &'a Call<'_>,
    read: impl Fn(Option<String>, u32) -> Reading<'a>,
) -> Result<Answer, PublicError> {
    let Reply::Page(list) = &call.operation.spec().answer else { return Err(not_found()) };
    let (limit, filter) = (call.query.limit, call.query.filter.as_ref());
    let at_once = if filter.is_none() { u32::try_from(limit + 1).unwrap_or(READ_AT_ONCE) } else { READ_AT_ONCE };
    let mut before = call.query.before.clone();
    let (mut items, mut scanned, mut behind) = (Vec::new(), 0, None);
    'scan: loop {
        let found = read(before.clone(), at_once).await?;
        let last = found.len() < at_once as usize;
        for Found { id, reply } in found {
            if items.len() == limit || scanned == SCANNED_MAX {
                behind = before;
                break 'scan;
            }
            scanned += 1;
            before = Some(id);
            items.extend(reply.filter(|reply| filter.is_none_or(|filter| filter.matches(reply, time(call.now)))));
        }
        if last {
            break;
        }
    }
    Ok(Answer::Object(call.query.page(call.base, call.path, list.key, &items, behind.as_deref())))
}
