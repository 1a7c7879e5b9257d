//! The thread that writes lines.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// Lines that wait for a slow output at most. At about 200 bytes a line this is under 2 MiB; a burst of errors fits.
const QUEUE: usize = 8192;

/// How long the end of the program waits for lines to be written.
const FLUSH_PATIENCE: Duration = Duration::from_secs(1);

/// Where lines go. A full pipe or disk delays the thread behind it and nobody else: lines that find the queue full are dropped and
/// counted, and the count is written when there is room again.
#[derive(Clone, Debug)]
pub(crate) struct Sink {
    queue: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

/// Makes the line about this many lines that were dropped.
type LostLine = Box<dyn Fn(u64) -> String + Send>;

#[derive(Debug)]
enum Message {
    Line(Box<str>),
    /// Answered when everything before it is written.
    Flush(SyncSender<()>),
}

impl Sink {
    /// Starts the thread. It lives as long as the process.
    /// `lost` makes the line that tells how many were dropped.
    pub(crate) fn start(output: impl Write + Send + 'static, lost: LostLine) -> std::io::Result<Sink> {
        Self::with_queue(output, lost, QUEUE)
    }

    fn with_queue(output: impl Write + Send + 'static, lost: LostLine, length: usize) -> std::io::Result<Sink> {
        let (queue, lines) = sync_channel(length);
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&dropped);
        std::thread::Builder::new()
            .name("portway-log".into())
            .spawn(move || write_lines(output, &lines, &counter, &lost))?;
        Ok(Sink { queue, dropped })
    }

    /// Queues one line. Never waits.
    pub(crate) fn send(&self, line: &str) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.queue.try_send(Message::Line(line.into()))
        {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until the lines so far are written, for a second at most.
    pub(crate) fn flush(&self) {
        let (done, wait) = sync_channel(1);
        // A full queue means that the output is stuck; then there is nothing to wait for.
        if self.queue.try_send(Message::Flush(done)).is_ok() {
            let _ = wait.recv_timeout(FLUSH_PATIENCE);
        }
    }
}

fn write_lines(mut output: impl Write, lines: &Receiver<Message>, dropped: &AtomicU64, lost_line: &LostLine) {
    // A line that cannot be written (full disk, closed pipe) is lost; there is no better place to say so.
    while let Ok(message) = lines.recv() {
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let _ = output.write_all(lost_line(lost).as_bytes());
        }
        match message {
            Message::Line(line) => {
                let _ = output.write_all(line.as_bytes());
            }
            Message::Flush(done) => {
                let _ = output.flush();
                let _ = done.try_send(());
            }
        }
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
        let text = loop {
            sink.flush();
            let text = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
            if text.ends_with("third\n") {
                break text;
            }
        };
        assert!(!text.contains("lost"));
        assert!(text.contains("count=3"), "{text}");
    }
}
