//! Edges report what is online, and pass commands on to agents.

use std::time::Duration;

use portway_control::AgentCommand;
use portway_names::{AccountId, SessionId};
use portway_proto::control::v1::edge_report::Report;
use portway_proto::control::v1::{
    AgentSession, CommandOutcome, EdgeCommand, EdgeInfo, EdgeReport, OnlineChange, OnlineEndpoint, OnlineItem,
    OnlineKey, OnlinePart, online_item,
};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::Running;

const ACCOUNT: &str = "ac_0ujtsYcgvSTl8PAuAdqWYSMnLOv";
const SESSION: &str = "ts_0ujtsYcgvSTl8PAuAdqWYSMnLOv";

/// An edge that reports.
struct Edge {
    reports: mpsc::Sender<EdgeReport>,
    commands: Streaming<EdgeCommand>,
}

impl Edge {
    async fn begin(client: &portway_rpc::ControlClient) -> Edge {
        let (reports, outgoing) = mpsc::channel(16);
        let commands = client.report(ReceiverStream::new(outgoing)).await.unwrap();
        Edge { reports, commands }
    }

    async fn say(&self, report: Report) {
        self.reports.send(EdgeReport { report: Some(report) }).await.unwrap();
    }

    async fn next(&mut self) -> Option<Result<EdgeCommand, Status>> {
        tokio::time::timeout(Duration::from_secs(20), self.commands.next()).await.unwrap()
    }
}

fn info() -> Report {
    let [edge_id, process, region] = ["edge", "1", "eu"].map(str::to_owned);
    Report::Edge(EdgeInfo { edge_id, process, region, ..EdgeInfo::default() })
}

fn session() -> OnlineItem {
    let session = AgentSession {
        session_id: SESSION.to_owned(),
        account_id: ACCOUNT.to_owned(),
        credential_id: "cr_0ujtsYcgvSTl8PAuAdqWYSMnLOv".to_owned(),
        protocol: 1,
        ip: vec![192, 0, 2, 1].into(),
        ..AgentSession::default()
    };
    OnlineItem { item: Some(online_item::Item::Session(session)) }
}

fn endpoint() -> OnlineItem {
    let endpoint = OnlineEndpoint {
        session_id: SESSION.to_owned(),
        number: 1,
        account_id: ACCOUNT.to_owned(),
        endpoint_id: "ep_0ujtsYcgvSTl8PAuAdqWYSMnLOv".to_owned(),
        url: "https://app.portway.localhost".to_owned(),
        ..OnlineEndpoint::default()
    };
    OnlineItem { item: Some(online_item::Item::Endpoint(endpoint)) }
}

async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap_or_else(|_| panic!("never happened: {what}"));
}

#[tokio::test]
async fn what_an_edge_reports_is_online_until_its_report_ends() {
    let running = Running::start().await;
    let Running { online, client, .. } = &running;
    let account: AccountId = ACCOUNT.parse().unwrap();
    let count = || (online.sessions(account, None, 10).len(), online.endpoints(account, None, 10).len());

    let mut edge = Edge::begin(client).await;
    edge.say(info()).await;
    // What cannot be read takes nothing else along.
    let broken = OnlineItem { item: Some(online_item::Item::Session(AgentSession::default())) };
    edge.say(Report::Part(OnlinePart { items: vec![broken, session()], last: true })).await;
    edge.say(Report::Change(OnlineChange { online: vec![endpoint()], gone: Vec::new() })).await;
    eventually("both are online", || count() == (1, 1)).await;
    assert_eq!((online.edges().len(), online.edges()[0].region.as_str()), (1, "eu"));

    let id: SessionId = SESSION.parse().unwrap();
    let (told, ()) = tokio::join!(online.command(account, id, &AgentCommand::Stop), async {
        let command = edge.next().await.unwrap().unwrap();
        assert_eq!(command.session_id, SESSION);
        let outcome = CommandOutcome { command_id: command.command_id, ..CommandOutcome::default() };
        edge.say(Report::Outcome(outcome)).await;
    });
    assert_eq!(told, Ok(()));

    let gone = vec![OnlineKey { session_id: SESSION.to_owned(), number: 1 }];
    edge.say(Report::Change(OnlineChange { online: Vec::new(), gone })).await;
    eventually("the endpoint is gone", || count() == (1, 0)).await;
    drop(edge);
    eventually("the edge is forgotten", || online.edges().is_empty()).await;
    assert_eq!(count(), (0, 0));

    // A control plane that stops ends the reports without a fault.
    let mut edge = Edge::begin(client).await;
    edge.say(info()).await;
    eventually("it reports again", || online.edges().len() == 1).await;
    let Running { stop, runner, client: _held, .. } = running;
    stop.cancel();
    runner.await.unwrap().close().await;
    assert!(edge.next().await.is_none());
}

#[tokio::test]
async fn a_report_that_does_not_begin_with_its_edge_is_refused() {
    let running = Running::start().await;
    let mut edge = Edge::begin(&running.client).await;
    edge.say(Report::Part(OnlinePart { items: Vec::new(), last: true })).await;
    assert_eq!(edge.next().await.unwrap().unwrap_err().code(), Code::InvalidArgument);
    let mut edge = Edge::begin(&running.client).await;
    edge.say(Report::Edge(EdgeInfo::default())).await;
    assert_eq!(edge.next().await.unwrap().unwrap_err().code(), Code::InvalidArgument);

    // A report of the same process takes the place of the older one.
    let mut older = Edge::begin(&running.client).await;
    older.say(info()).await;
    eventually("the older one counts", || running.online.edges().len() == 1).await;
    let newer = Edge::begin(&running.client).await;
    newer.say(info()).await;
    newer.say(Report::Part(OnlinePart { items: vec![session()], last: true })).await;
    eventually("the newer one counts", || running.online.edges()[0].sessions == 1).await;
    older.say(Report::Change(OnlineChange::default())).await;
    assert_eq!(older.next().await.unwrap().unwrap_err().code(), Code::Aborted);
}
