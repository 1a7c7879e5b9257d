//! The report of one edge: what it says goes into [`Online`], and commands for its agents come out.

use futures_util::{Stream, StreamExt};
use portway_proto::control::v1::edge_report::Report;
use portway_proto::control::v1::{EdgeCommand, EdgeInfo, EdgeReport, OnlineItem};
use portway_proto::{EdgeRecord, ItemKey, OnlineRecord};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use crate::commands::Answer;
use crate::online::{Online, ReportFault, Reporting};

/// Commands that wait for the link.
const COMMANDS: usize = 64;

/// An edge that reports.
struct Reporter {
    online: Online,
    reports: Streaming<EdgeReport>,
    /// None before the edge has said who it is.
    reporting: Option<Reporting>,
    sender: mpsc::Sender<EdgeCommand>,
    commands: mpsc::Receiver<EdgeCommand>,
}

/// Takes the reports of an edge, and yields commands for it, until either ends or `closing`. The stream must be polled for the reports to be
/// taken; dropping it ends the report.
pub(crate) fn follow(
    online: Online,
    reports: Streaming<EdgeReport>,
    closing: CancellationToken,
) -> impl Stream<Item = Result<EdgeCommand, Status>> + Send {
    let (sender, commands) = mpsc::channel(COMMANDS);
    let reporter = Reporter { online, reports, reporting: None, sender, commands };
    futures_util::stream::unfold(Some(reporter), move |reporter| {
        let closing = closing.clone();
        async move {
            let mut reporter = reporter?;
            // A clean end is the sign that it stops on purpose.
            match closing.run_until_cancelled(reporter.next_command()).await?? {
                Ok(command) => Some((Ok(command), Some(reporter))),
                Err(status) => Some((Err(status), None)),
            }
        }
    })
}

impl Reporter {
    /// The next command; none when the edge has ended its report.
    async fn next_command(&mut self) -> Option<Result<EdgeCommand, Status>> {
        loop {
            tokio::select! {
                report = self.reports.next() => match report {
                    Some(Ok(report)) => {
                        if let Err(status) = self.take(report) {
                            return Some(Err(status));
                        }
                    }
                    Some(Err(status)) => {
                        tracing::debug!(%status, "the report of an edge broke");
                        return None;
                    }
                    None => return None,
                },
                // The sender is ours, so it does not end.
                Some(command) = self.commands.recv() => return Some(Ok(command)),
            }
        }
    }

    fn take(&mut self, report: EdgeReport) -> Result<(), Status> {
        match (report.report, &self.reporting) {
            // A newer edge may say more.
            (None, _) => Ok(()),
            (Some(Report::Edge(info)), None) => {
                let info = edge(info)?;
                tracing::debug!(edge = %info.id, process = info.process, "an edge reports what is online");
                self.reporting = Some(self.online.begin(info, self.sender.clone()).map_err(ended)?);
                Ok(())
            }
            (Some(_), None) => Err(Status::invalid_argument("a report begins with the edge itself")),
            (Some(Report::Edge(info)), Some(reporting)) => reporting.describe(edge(info)?).map_err(ended),
            (Some(Report::Part(part)), Some(reporting)) => {
                reporting.list(part.items.into_iter().filter_map(record).collect(), part.last).map_err(ended)
            }
            (Some(Report::Change(change)), Some(reporting)) => {
                let online = change.online.into_iter().filter_map(record).collect();
                let gone: Vec<_> = change.gone.into_iter().filter_map(|key| ItemKey::try_from(key).ok()).collect();
                reporting.change(online, &gone).map_err(ended)
            }
            (Some(Report::Outcome(outcome)), Some(reporting)) => {
                reporting.answer(outcome.command_id, Answer::from(outcome)).map_err(ended)
            }
        }
    }
}

fn edge(info: EdgeInfo) -> Result<EdgeRecord, Status> {
    EdgeRecord::try_from(info).map_err(|error| Status::invalid_argument(error.to_string()))
}

/// What cannot be read is left out and said, so that it takes nothing else along.
fn record(item: OnlineItem) -> Option<OnlineRecord> {
    match OnlineRecord::try_from(item) {
        Ok(record) => Some(record),
        Err(error) => {
            tracing::error!(%error, "an item of an edge's report is left out");
            None
        }
    }
}

fn ended(fault: ReportFault) -> Status {
    match fault {
        ReportFault::Processes | ReportFault::Items => {
            tracing::error!(%fault, "the report of an edge is refused");
            Status::resource_exhausted(fault.to_string())
        }
        ReportFault::Replaced => Status::aborted(fault.to_string()),
        ReportFault::Renamed => Status::invalid_argument(fault.to_string()),
    }
}
