//! Queues, windows and readers that are behind.

use std::future::poll_fn;

use super::*;

const STALL: Duration = Duration::from_secs(10);

async fn take(incoming: &Incoming, count: usize) -> Result<Vec<u8>, StreamError> {
    let mut room = vec![0; count];
    let mut buf = ReadBuf::new(&mut room);
    poll_fn(|cx| incoming.poll_read(cx, &mut buf)).await?;
    let filled = buf.filled().len();
    room.truncate(filled);
    Ok(room)
}

#[tokio::test]
async fn bytes_come_out_in_order_and_the_end_after_them() {
    let inflow = Inflow::<u32>::new(STALL);
    let incoming = inflow.add(1);
    incoming.push(b"hello").unwrap();
    incoming.push(b"world").unwrap();
    incoming.end();
    incoming.close();
    assert_eq!(take(&incoming, 3).await.unwrap(), b"hel");
    assert_eq!(take(&incoming, 4).await.unwrap(), b"lowo");
    assert_eq!(take(&incoming, 30).await.unwrap(), b"rld");
    assert_eq!(take(&incoming, 30).await.unwrap(), b"");
    poll_fn(|cx| {
        assert!(matches!(incoming.writable(cx), Writable::Discard));
        Poll::Ready(())
    })
    .await;
}

#[tokio::test]
async fn a_trickle_is_kept_together() {
    let inflow = Inflow::<u32>::new(STALL);
    let incoming = inflow.add(1);
    incoming.push(&[7; 2 * CHUNK]).unwrap();
    for _ in 0..CHUNK {
        incoming.push(&[8, 9]).unwrap();
    }
    assert_eq!(incoming.lock().chunks.len(), 3);
    let all = take(&incoming, 5 * CHUNK).await.unwrap();
    assert_eq!(all.len(), 4 * CHUNK);
    assert!(all[..2 * CHUNK].iter().all(|byte| *byte == 7) && all[2 * CHUNK..].chunks(2).all(|pair| pair == [8, 9]));
}

#[tokio::test]
async fn a_close_without_an_end_is_a_reset_behind_what_came_before() {
    let inflow = Inflow::<u32>::new(STALL);
    let incoming = inflow.add(1);
    incoming.push(b"a").unwrap();
    incoming.close();
    assert_eq!(take(&incoming, 3).await.unwrap(), b"a");
    assert!(matches!(take(&incoming, 3).await, Err(StreamError::Reset(_))));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_behind_makes_windows_small_until_it_has_caught_up() {
    let inflow = Inflow::<u32>::new(STALL);
    let (slow, fast) = (inflow.add(1), inflow.add(2));
    fast.push(b"x").unwrap();
    assert_eq!(inflow.window(), (WINDOW, vec![]));
    slow.push(&vec![0; HIGH + 1]).unwrap();
    assert_eq!(inflow.window(), (TRICKLE, vec![]));
    for _ in 0..3 {
        // Slow, but not too slow.
        tokio::time::advance(STALL).await;
        take(&slow, PROGRESS as usize).await.unwrap();
        assert_eq!(inflow.window(), (TRICKLE, vec![]));
    }
    take(&slow, HIGH - LOW).await.unwrap();
    assert_eq!(inflow.window(), (WINDOW, vec![]));
    assert_eq!(take(&fast, 9).await.unwrap(), b"x");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_nothing_is_cut_off() {
    let inflow = Inflow::<u32>::new(STALL);
    let stalled = inflow.add(1);
    stalled.push(&vec![0; HIGH + 1]).unwrap();
    tokio::time::advance(STALL).await;
    assert_eq!(inflow.window(), (TRICKLE, vec![1]));
    assert_eq!(inflow.window(), (WINDOW, vec![]));
    assert!(matches!(take(&stalled, 1).await, Err(StreamError::Reset(_))));
    assert!(inflow.get(1).is_none());
    assert_eq!(inflow.shared.bytes.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn more_than_the_window_is_a_fault() {
    let inflow = Inflow::<u32>::new(STALL);
    let incoming = inflow.add(1);
    incoming.push(&vec![0; OVERRUN]).unwrap();
    assert!(incoming.push(b"x").is_err());
}

#[tokio::test]
async fn what_all_channels_hold_is_bounded() {
    let inflow = Inflow::<u32>::new(STALL);
    for id in 0..200 {
        inflow.add(id).push(&vec![0; 2 * HIGH]).unwrap();
    }
    assert!(inflow.shared.bytes.load(Ordering::Relaxed) <= TOTAL);
    inflow.lose(&CloseReason::LocalClosed);
    assert_eq!(inflow.shared.bytes.load(Ordering::Relaxed), 0);
    assert_eq!(inflow.window().0, WINDOW);
}

#[tokio::test]
async fn the_loss_of_the_session_wakes_readers() {
    let inflow = Arc::new(Inflow::<u32>::new(STALL));
    let incoming = inflow.add(1);
    let reading = tokio::spawn(async move { take(&incoming, 1).await });
    tokio::task::yield_now().await;
    inflow.lose(&CloseReason::HeartbeatLost);
    assert!(matches!(reading.await.unwrap(), Err(StreamError::SessionLost(CloseReason::HeartbeatLost))));
    let late = inflow.add(2);
    assert!(matches!(take(&late, 1).await, Err(StreamError::SessionLost(CloseReason::HeartbeatLost))));
}
