//! The thread that writes lines.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Lines that wait for a slow output at most. At about 200 bytes a line this is under 2 MiB; a burst of errors fits.
const QUEUE: usize = 8192;

/// How long the end of the program waits for lines to be written. A busy machine needs much less, a stuck output would need for ever.
const FLUSH_PATIENCE: Duration = Duration::from_secs(3);

/// Where lines go. A full pipe or disk delays the thread behind it and nobody else: lines that find the queue full are dropped and
/// counted, and the count is written when there is room again.
#[derive(Clone, Debug)]
pub(crate) struct Sink {
    queue: SyncSender<Box<str>>,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    queued: AtomicU64,
    dropped: AtomicU64,
    /// Lines done with, and a signal for each.
    written: Mutex<u64>,
    wrote: Condvar,
}

/// Makes the line about this many lines that were dropped.
type LostLine = Box<dyn Fn(u64) -> String + Send>;

impl Sink {
    /// Starts the thread. It lives as long as the process. `lost` makes the line that tells how many were dropped.
    pub(crate) fn start(output: impl Write + Send + 'static, lost: LostLine) -> std::io::Result<Sink> {
        Self::with_queue(output, lost, QUEUE)
    }

    fn with_queue(output: impl Write + Send + 'static, lost: LostLine, length: usize) -> std::io::Result<Sink> {
        let (queue, lines) = sync_channel(length);
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        std::thread::Builder::new()
            .name("portway-log".into())
            .spawn(move || write_lines(output, &lines, &shared, &lost))?;
        Ok(Sink { queue, state })
    }

    /// Queues one line. Never waits.
    pub(crate) fn send(&self, line: &str) {
        let counter = if self.queue.try_send(line.into()).is_ok() { &self.state.queued } else { &self.state.dropped };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until the lines that this thread queued so far are written, for [`FLUSH_PATIENCE`] at most.
    pub(crate) fn flush(&self) {
        let goal = self.state.queued.load(Ordering::Relaxed);
        let written = self.state.written.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.state.wrote.wait_timeout_while(written, FLUSH_PATIENCE, |written| *written < goal));
    }
}

fn write_lines(mut output: impl Write, lines: &Receiver<Box<str>>, state: &State, lost_line: &LostLine) {
    while let Ok(line) = lines.recv() {
        let lost = state.dropped.swap(0, Ordering::Relaxed);
        let notice = if lost > 0 { lost_line(lost) } else { String::new() };
        // A line that cannot be written (full disk, closed pipe) is lost; there is no better place to say so.
        for text in [&notice, &*line] {
            let _ = output.write_all(text.as_bytes());
        }
        let _ = output.flush();
        *state.written.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        state.wrote.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::channel;

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Announces each write and waits to be let through.
    struct Gate {
        arrived: std::sync::mpsc::Sender<()>,
        pass: Receiver<()>,
        memory: Memory,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.arrived.send(());
            let _ = self.pass.recv();
            self.memory.write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_flush_waits_for_the_lines_before_it() {
        let memory = Memory::default();
        let sink = Sink::start(memory.clone(), Box::new(|_| unreachable!())).unwrap();
        for nr in 0..100 {
            sink.send(&format!("{nr}\n"));
        }
        sink.flush();
        let expected: String = (0..100).map(|nr| format!("{nr}\n")).collect();
        assert_eq!(String::from_utf8(memory.0.lock().unwrap().clone()).unwrap(), expected);
    }

    #[test]
    fn a_stuck_output_delays_nobody_and_losses_are_counted() {
        let (arrived, arrivals) = channel();
        let (open, pass) = channel();
        let memory = Memory::default();
        let sink = Sink::with_queue(
            Gate { arrived, pass, memory: memory.clone() },
            Box::new(|count| format!("count={count}\n")),
            2,
        )
        .unwrap();
        sink.send("first\n");
        arrivals.recv().unwrap();
        // The thread is stuck in the first line: two more fit, three do not.
        for line in ["second\n", "third\n", "lost\n", "lost\n", "lost\n"] {
            sink.send(line);
        }
        drop(open);
        sink.flush();
        let text = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
        assert!(text.ends_with("third\n"), "{text}");
        assert!(!text.contains("lost"));
        assert!(text.contains("count=3"), "{text}");
    }
}
