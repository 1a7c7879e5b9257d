//! Work on resources: taken once, finished once, forgotten with the resource.

use std::collections::BTreeSet;
use std::time::Duration;

use portway_store::{
    AccountChange, Audit, Content, InUse, NewResource, ResourceError, Store, Timestamp, Work, WorkDone,
};

use crate::engine::{Engine, on_every_engine};
use crate::resources::{audit, content};
use crate::{START, account_id};

const KIND: &str = "domain";
const SECOND: Duration = Duration::from_secs(1);
/// How long work is held.
const HOLD: Duration = Duration::from_secs(60);

fn due(body: &str, at: Option<Timestamp>) -> Content {
    Content { work_at: at, ..content(body, &[], &[]) }
}

async fn make(store: &Store, account: u8, id: &str, content: Content) {
    let (id, kind) = (id.to_owned(), KIND.to_owned());
    let new = NewResource { id, kind, account: account_id(account), followed: true, content };
    store.create_resource(&new, &audit("create"), START).await.unwrap();
}

async fn take(store: &Store, limit: u32, now: Timestamp) -> Vec<Work> {
    store.take_work(limit, now + HOLD, now).await.unwrap()
}

fn ids(taken: &[Work]) -> Vec<&str> {
    taken.iter().map(|work| work.resource.id.as_str()).collect()
}

async fn finish(store: &Store, work: &Work, done: WorkDone, now: Timestamp) -> Result<(), ResourceError> {
    store.finish_work(work, now, |_| Ok::<_, ResourceError>(done)).await
}

async fn what_is_due_is_taken_once_and_the_oldest_first(engine: Engine) {
    let store = engine.filled().await;
    assert!(take(&store, 10, START).await.is_empty());
    make(&store, 1, "rd_late", due("{}", Some(START + SECOND))).await;
    make(&store, 1, "rd_early", due("{}", Some(START))).await;
    make(&store, 2, "rd_future", due("{}", Some(START + HOLD * 9))).await;
    make(&store, 2, "rd_idle", due("{}", None)).await;
    let now = START + SECOND;
    assert_eq!(ids(&take(&store, 1, now).await), ["rd_early"]);
    assert_eq!(ids(&take(&store, 9, now).await), ["rd_late"]);
    assert!(take(&store, 9, now).await.is_empty(), "they are held");
    assert_eq!(take(&store, 9, now + HOLD).await.len(), 2, "and held no longer");
    store.release_work().await.unwrap();
    assert_eq!(take(&store, 9, now + HOLD).await.len(), 2, "whoever starts anew holds nothing");
    let change = AccountChange { suspended: Some(true), ..AccountChange::default() };
    store.update_account(&account_id(2), &change, &audit("suspend"), START).await.unwrap();
    assert!(take(&store, 9, START + HOLD * 10).await.iter().all(|work| work.resource.account == account_id(1)));
}

async fn who_held_it_too_long_changes_nothing(engine: Engine) {
    let store = engine.filled().await;
    make(&store, 1, "rd_1", due("1", Some(START))).await;
    let first = take(&store, 1, START).await.remove(0);
    let later = START + HOLD;
    let second = take(&store, 1, later).await.remove(0);
    let done = |body: &str| WorkDone { content: due(body, Some(later + HOLD)), ..WorkDone::default() };
    let refused = finish(&store, &first, done("first"), later).await.unwrap_err();
    assert!(matches!(refused, ResourceError::Stale { .. }), "{refused}");
    finish(&store, &second, done("second"), later).await.unwrap();
    let now = store.resource(&account_id(1), KIND, "rd_1").await.unwrap().unwrap();
    assert_eq!((now.body.as_str(), now.version), ("second", 2));
    // Free again before its time is over, and due when it said.
    assert!(take(&store, 1, later).await.is_empty());
    let third = take(&store, 1, later + HOLD).await.remove(0);
    // A change by somebody else meanwhile is seen, and does not stop the work.
    let changed = due("third", Some(later + HOLD));
    store.update_resource(&account_id(1), KIND, "rd_1", 2, &changed, &audit("update"), later).await.unwrap();
    let finished = store.finish_work(&third, later, |resource| {
        assert_eq!(resource.body, "third");
        Ok::<_, ResourceError>(WorkDone { content: due("done", None), ..WorkDone::default() })
    });
    finished.await.unwrap();
    assert!(take(&store, 1, later + HOLD * 9).await.is_empty(), "nothing is left to do");
    let refused = finish(&store, &third, done("fourth"), later).await.unwrap_err();
    assert!(matches!(refused, ResourceError::Missing { .. }), "{refused}");
}

async fn work_that_is_not_wanted_any_more_is_free_for_the_next_one(engine: Engine) {
    let store = engine.filled().await;
    make(&store, 1, "rd_1", due("1", Some(START))).await;
    let work = take(&store, 1, START).await.remove(0);
    let refused = store
        .finish_work(&work, START, |resource| Err::<WorkDone, _>(ResourceError::Exists { id: resource.body.clone() }));
    assert!(matches!(refused.await, Err(ResourceError::Exists { id }) if id == "1"), "what it says comes back");
    let again = take(&store, 1, START).await.remove(0);
    assert_eq!((again.resource.version, again.fence), (1, work.fence + 1), "nothing has changed");
}

async fn a_deleted_resource_has_no_work(engine: Engine) {
    let store = engine.filled().await;
    make(&store, 1, "rd_1", due("{}", Some(START))).await;
    let work = take(&store, 1, START).await.remove(0);
    store.delete_resource(&account_id(1), KIND, "rd_1", InUse::Refuse, &audit("delete"), START).await.unwrap();
    let done = WorkDone { content: due("{}", Some(START)), ..WorkDone::default() };
    assert!(matches!(finish(&store, &work, done, START).await, Err(ResourceError::Missing { .. })));
    assert!(take(&store, 1, START + HOLD).await.is_empty());
}

async fn what_is_made_replaces_what_is_not_needed(engine: Engine) {
    let store = engine.filled().await;
    make(&store, 1, "rd_1", due("{}", Some(START))).await;
    let certificate = |id: &str| {
        let (id, kind) = (id.to_owned(), "certificate".to_owned());
        NewResource { id, kind, account: account_id(1), followed: true, content: content("{}", &[], &[]) }
    };
    let with = |id: &str, unneeded: Option<&str>| WorkDone {
        content: Content { work_at: Some(START), ..content("{}", &[], &[id]) },
        made: Some((certificate(id), audit("issue"))),
        unneeded: unneeded.map(|id| (id.to_owned(), audit("replace"))),
        ordered: true,
    };
    for (id, unneeded) in [("cert_1", None), ("cert_2", Some("cert_1"))] {
        let work = take(&store, 1, START).await.remove(0);
        finish(&store, &work, with(id, unneeded), START).await.unwrap();
    }
    let there = async |id: &str| store.resource(&account_id(1), "certificate", id).await.unwrap().is_some();
    assert!(!there("cert_1").await && there("cert_2").await);
    // What another one needs stays.
    make(&store, 1, "rd_2", content("{}", &[], &["cert_2"])).await;
    let work = take(&store, 1, START).await.remove(0);
    finish(&store, &work, with("cert_3", Some("cert_2")), START).await.unwrap();
    assert!(there("cert_2").await && there("cert_3").await);
    // Nothing is made when the rest cannot be done.
    let work = take(&store, 1, START).await.remove(0);
    let mut broken = with("cert_4", None);
    broken.content.refs.push("cert_none".to_owned());
    assert!(matches!(finish(&store, &work, broken, START).await, Err(ResourceError::NoTarget { .. })));
    assert!(!there("cert_4").await);
    assert_eq!(store.orders_since(&account_id(1), START - SECOND).await.unwrap(), (3, 3));
    assert_eq!(store.orders_since(&account_id(2), START - SECOND).await.unwrap(), (0, 3));
    assert_eq!(store.orders_since(&account_id(1), START).await.unwrap(), (0, 0));
    let log = store.audit_log(&account_id(1), None, 100).await.unwrap();
    let issued = log.iter().filter(|entry| entry.audit == Audit { before: None, ..audit("issue") });
    assert_eq!(issued.count(), 3, "what is made is written down, the steps are not");
}

async fn of_many_who_take_each_gets_others(engine: Engine) {
    let store = engine.filled().await;
    for number in 0..40 {
        make(&store, 1, &format!("rd_{number:02}"), due("{}", Some(START))).await;
    }
    let workers = (0..8).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut taken = Vec::new();
            loop {
                let more = take(&store, 3, START).await;
                if more.is_empty() {
                    return taken;
                }
                taken.extend(more.into_iter().map(|work| work.resource.id));
            }
        })
    });
    let mut all = Vec::new();
    for worker in workers.collect::<Vec<_>>() {
        all.extend(worker.await.unwrap());
    }
    assert_eq!((all.len(), BTreeSet::from_iter(&all).len()), (40, 40));
}

on_every_engine!(file:
    what_is_due_is_taken_once_and_the_oldest_first,
    who_held_it_too_long_changes_nothing,
    work_that_is_not_wanted_any_more_is_free_for_the_next_one,
    a_deleted_resource_has_no_work,
    what_is_made_replaces_what_is_not_needed,
    of_many_who_take_each_gets_others,
);
