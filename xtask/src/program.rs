//! Programs under test: started, watched, and ended by their process id, also when we are interrupted.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long a program may take to end when asked, before it is killed.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often something is looked at while waiting for it.
const POLL: Duration = Duration::from_millis(5);

/// Every program that runs, for the end by a signal.
static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// A child process; it ends when this is dropped.
pub(crate) struct Program {
    name: String,
    child: Child,
    /// Its standard input, when it has one: closed, it asks some programs to end.
    input: Option<ChildStdin>,
    output: PathBuf,
    started: Instant,
}

impl Program {
    /// Starts `command`, with its output in a file of `scratch`.
    pub(crate) fn start(name: &str, scratch: &Path, command: &mut Command) -> Result<Self> {
        Self::spawn(name, scratch, command.stdin(Stdio::null()))
    }

    /// Like [`Program::start`], with a standard input that can be written to.
    pub(crate) fn start_with_input(name: &str, scratch: &Path, command: &mut Command) -> Result<Self> {
        Self::spawn(name, scratch, command.stdin(Stdio::piped()))
    }

    fn spawn(name: &str, scratch: &Path, command: &mut Command) -> Result<Self> {
        let output = scratch.join(format!("{name}.out"));
        let errors = scratch.join(format!("{name}.err"));
        command.stdout(fs::File::create(&output).context("creating a log")?);
        command.stderr(fs::File::create(&errors).context("creating a log")?);
        // Held over the start: the end by a signal misses nobody then.
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut child = command.spawn().with_context(|| format!("starting {name}: {command:?}"))?;
        let input = child.stdin.take();
        running.push(child.id());
        Ok(Self { name: name.to_owned(), child, input, output, started: Instant::now() })
    }

    /// Time since it was started.
    pub(crate) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// What it printed to stdout up to now.
    pub(crate) fn output(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// Writes `text` to its standard input.
    pub(crate) fn tell(&mut self, text: &str) -> Result<()> {
        let input = self.input.as_mut().context("the program has no input")?;
        input.write_all(text.as_bytes()).with_context(|| format!("writing to {}", self.name))
    }

    /// Closes its standard input and waits until it has ended without a failure, for at most `limit`.
    pub(crate) fn finish(mut self, limit: Duration) -> Result<()> {
        drop(self.input.take());
        let asked = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().context("asking for a child")? {
                if status.success() {
                    return Ok(());
                }
                bail!("the program ended with {status}: {}", self.last_words());
            }
            if asked.elapsed() > limit {
                bail!("the program did not end after its input was closed: {}", self.last_words());
            }
            pause();
        }
    }

    /// Fails when it has ended, with the last lines it wrote.
    pub(crate) fn alive(&mut self) -> Result<()> {
        let Some(status) = self.child.try_wait().context("asking for a child")? else { return Ok(()) };
        bail!("{} ended with {status}: {}", self.name, self.last_words());
    }

    /// The last lines of its output and errors.
    pub(crate) fn last_words(&self) -> String {
        let errors = fs::read_to_string(self.output.with_extension("err")).unwrap_or_default();
        let all = self.output() + &errors;
        let lines: Vec<&str> = all.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(5)..].join(" | ")
    }

    /// CPU time used by it and its descendants, user and system.
    pub(crate) fn cpu(&self) -> Duration {
        let ticks: u64 = family(self.child.id()).into_iter().filter_map(ticks).sum();
        Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second().max(1))
    }

    /// Memory of it and its descendants as PSS (shared pages divided among those who share them), in bytes.
    pub(crate) fn pss(&self) -> u64 {
        family(self.child.id()).into_iter().filter_map(pss).sum()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let family = family(self.child.id());
        for pid in &family {
            send(*pid, Signal::TERM);
        }
        let asked = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if asked.elapsed() > PATIENCE {
                for pid in &family {
                    send(*pid, Signal::KILL);
                }
                drop(self.child.wait());
                break;
            }
            pause();
        }
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).retain(|pid| *pid != self.child.id());
    }
}

/// Ends every program and this one when a signal asks for the end.
pub(crate) fn end_on_signals(scratch: PathBuf) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting a runtime")?;
    thread::spawn(move || {
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return;
            };
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            // Held until the end, so that nothing is started any more.
            let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
            for pid in running.iter().copied().flat_map(family) {
                send(pid, Signal::KILL);
            }
            drop(fs::remove_dir_all(&scratch));
            eprintln!("interrupted; every program is ended");
            std::process::exit(130);
        });
    });
    Ok(())
}

/// Waits until `ready` gives something; fails after `limit` with what `what` says.
pub(crate) fn wait_for<T>(what: &str, limit: Duration, mut ready: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = ready()? {
            return Ok(value);
        }
        if start.elapsed() > limit {
            bail!("{what} was not ready within {} s", limit.as_secs());
        }
        pause();
    }
}

/// A short rest between two looks at something.
#[expect(clippy::disallowed_methods, reason = "no runtime here whose thread this could block")]
pub(crate) fn pause() {
    thread::sleep(POLL);
}

fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // A process that is gone already is what we want.
        let _ = kill_process(pid, signal);
    }
}

/// A process and its descendants.
fn family(pid: u32) -> Vec<u32> {
    let mut found = vec![pid];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
        found.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        at += 1;
    }
    found
}

/// User and system time of a process, in ticks.
fn ticks(pid: u32) -> Option<u64> {
    parse_ticks(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Fields 14 and 15 of `/proc/PID/stat`; the name in field 2 may hold spaces.
fn parse_ticks(stat: &str) -> Option<u64> {
    let fields: Vec<&str> = stat[stat.rfind(')')? + 1..].split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

fn pss(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_read_after_the_name() {
        let stat = "12 (a b) c) S 1 2 3 4 5 6 7 8 9 10 70 30 0 0 20 0 1";
        assert_eq!(parse_ticks(stat), Some(100));
    }

    #[test]
    fn a_dropped_program_is_gone() {
        let scratch = tempfile::tempdir().expect("a folder");
        let program = Program::start("sleep", scratch.path(), Command::new("sleep").arg("60")).expect("a program");
        let pid = program.child.id();
        assert!(program.pss() > 0);
        drop(program);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }
}
