//! What edges report, as accounts see it.

use portway_codes::Code;
use portway_names::CredentialId;
use portway_proto::{EndpointRecord, SessionProtocol, SessionRecord};
use tokio::sync::mpsc::Receiver;

use super::*;

fn ksuid(number: u8) -> Ksuid {
    Ksuid::from_parts(1_700_000_000 + u64::from(number), [number; 16])
}

fn account(number: u8) -> AccountId {
    AccountId::new(ksuid(number))
}

fn session_id(number: u8) -> SessionId {
    SessionId::new(ksuid(number))
}

fn session(of: u8, number: u8) -> OnlineRecord {
    OnlineRecord::Session(SessionRecord {
        id: session_id(number),
        account: account(of),
        credential: CredentialId::new(ksuid(of)),
        ssh_key: number % 2 == 1,
        protocol: if number % 2 == 1 { SessionProtocol::Ssh } else { SessionProtocol::Native },
        ip: "192.0.2.1".parse().unwrap(),
        agent_version: "1.0".to_owned(),
        os: "linux".to_owned(),
        metadata: String::new(),
        started_at_ms: 1,
    })
}

/// An endpoint of a session of account 1.
fn endpoint(of: u8, number: u32, id: u8, url: &str) -> OnlineRecord {
    OnlineRecord::Endpoint(EndpointRecord {
        session: session_id(of),
        number,
        account: account(1),
        id: EndpointId::new(ksuid(id)),
        url: (!url.is_empty()).then(|| url.parse().unwrap()),
        internal: false,
        pooled: false,
        name: String::new(),
        description: String::new(),
        metadata: String::new(),
        forwards_to: "http://localhost:80".to_owned(),
        upstream_http2: false,
        traffic_policy: String::new(),
        labels: BTreeMap::new(),
        started_at_ms: 1,
    })
}

fn info(id: &str, process: &str) -> EdgeRecord {
    EdgeRecord {
        id: id.parse().unwrap(),
        process: process.to_owned(),
        region: "eu".parse().unwrap(),
        version: "1.0".to_owned(),
        started_at_ms: 1,
        draining: false,
    }
}

fn begin(online: &Online, id: &str, process: &str) -> (Reporting, Receiver<EdgeCommand>) {
    let (sender, commands) = mpsc::channel(4);
    (online.begin(info(id, process), sender).unwrap(), commands)
}

fn numbers(sessions: &[Arc<LiveSession>]) -> Vec<u64> {
    sessions.iter().map(|session| session.record.id.ksuid().unix_secs() - 1_700_000_000).collect()
}

fn ids(endpoints: &[Arc<LiveEndpoint>]) -> Vec<u64> {
    endpoints.iter().map(|endpoint| endpoint.record.id.ksuid().unix_secs() - 1_700_000_000).collect()
}

#[test]
fn sessions_are_listed_newest_first_for_their_account_alone() {
    let online = Online::default();
    let (edge, _commands) = begin(&online, "a", "1");
    edge.list(vec![session(1, 2), session(1, 4), session(2, 9)], false).unwrap();
    assert!(online.sessions(account(1), None, 10).is_empty(), "the list counts when it is complete");
    edge.list(vec![session(1, 3)], true).unwrap();
    edge.change(vec![session(1, 5)], &[ItemKey::of_session(session_id(2))]).unwrap();
    assert_eq!(numbers(&online.sessions(account(1), None, 10)), [5, 4, 3]);
    assert_eq!(numbers(&online.sessions(account(1), None, 2)), [5, 4]);
    assert_eq!(numbers(&online.sessions(account(1), Some(session_id(4)), 2)), [3]);
    assert_eq!(numbers(&online.sessions(account(2), None, 10)), [9]);
    assert!(online.session(account(1), session_id(9)).is_none(), "it is another account's");
    let ssh = online.session(account(2), session_id(9)).unwrap();
    assert_eq!((ssh.transport(), ssh.region.as_str()), ("ssh", "eu"));
    assert_eq!(ssh.credential_id(), format!("sshcr_{}", ksuid(2)));
    let native = online.session(account(1), session_id(4)).unwrap();
    assert_eq!((native.transport(), native.credential_id()), ("ngrok/v2", format!("cr_{}", ksuid(1))));
}

#[test]
fn an_endpoint_that_several_sessions_serve_is_listed_once_until_the_last_is_gone() {
    let online = Online::default();
    let (edge, _commands) = begin(&online, "a", "1");
    let items = vec![
        session(1, 1),
        endpoint(1, 1, 10, "https://app.example.com"),
        endpoint(1, 2, 12, "tcp://example.com:2000"),
        session(1, 2),
        endpoint(2, 1, 10, "https://app.example.com"),
        endpoint(2, 2, 11, ""),
    ];
    edge.list(items, true).unwrap();
    assert_eq!(ids(&online.endpoints(account(1), None, 10)), [12, 10], "one with labels is none");
    assert_eq!(ids(&online.tunnels(account(1), None, 10)), [12, 11, 10]);
    assert_eq!(ids(&online.tunnels(account(1), Some(TunnelId::new(ksuid(12))), 1)), [11]);
    let [app, tcp] = [10, 12].map(|id| online.endpoint(account(1), EndpointId::new(ksuid(id))).unwrap());
    assert_eq!((app.public_url().as_str(), app.scheme(), app.port()), ("https://app.example.com", "https", 443));
    assert_eq!((app.host().as_str(), app.hostport().as_str()), ("app.example.com", "app.example.com:443"));
    assert_eq!((app.upstream_protocol(), tcp.upstream_protocol(), app.binding()), ("http1", "", "public"));
    assert_eq!((tcp.hostport().as_str(), tcp.tunnel_id()), ("example.com:2000", TunnelId::new(ksuid(12))));
    assert!(online.endpoint(account(1), EndpointId::new(ksuid(11))).is_none());
    assert!(online.tunnel(account(1), TunnelId::new(ksuid(11))).is_some());
    assert!(online.tunnel(account(2), TunnelId::new(ksuid(11))).is_none());

    // A session takes its endpoints along.
    edge.change(Vec::new(), &[ItemKey::of_session(session_id(2))]).unwrap();
    assert_eq!(ids(&online.tunnels(account(1), None, 10)), [12, 10]);
    edge.change(Vec::new(), &[ItemKey { session: session_id(1), number: 1 }]).unwrap();
    assert_eq!(ids(&online.endpoints(account(1), None, 10)), [12]);
    edge.change(Vec::new(), &[ItemKey::of_session(session_id(1))]).unwrap();
    assert!(online.state().accounts.is_empty(), "nothing of the account is kept");
}

#[tokio::test(start_paused = true)]
async fn what_a_lost_edge_reported_stays_for_a_moment() {
    let online = Online::default();
    let (edge, _commands) = begin(&online, "a", "1");
    edge.list(vec![session(1, 1)], true).unwrap();
    drop(edge);
    tokio::time::advance(ABSENT_GRACE / 2).await;
    online.forget_absent();
    assert_eq!(numbers(&online.sessions(account(1), None, 10)), [1]);
    assert!(!online.edges()[0].connected);
    // It comes back in time: its new list is all there is.
    let (edge, _commands) = begin(&online, "a", "1");
    tokio::time::advance(ABSENT_GRACE * 2).await;
    online.forget_absent();
    assert_eq!(numbers(&online.sessions(account(1), None, 10)), [1]);
    edge.list(vec![session(1, 2)], true).unwrap();
    assert_eq!(numbers(&online.sessions(account(1), None, 10)), [2]);
    drop(edge);
    tokio::time::advance(ABSENT_GRACE * 2).await;
    online.forget_absent();
    assert!(online.sessions(account(1), None, 10).is_empty() && online.edges().is_empty());
}

#[test]
fn while_an_edge_is_replaced_both_processes_count_and_a_dead_one_does_not() {
    let online = Online::default();
    let (old, _old_commands) = begin(&online, "a", "1");
    old.list(vec![session(1, 1)], true).unwrap();
    let (new, _new_commands) = begin(&online, "a", "2");
    new.list(vec![session(1, 2)], true).unwrap();
    old.describe(EdgeRecord { draining: true, ..info("a", "1") }).unwrap();
    assert_eq!(numbers(&online.sessions(account(1), None, 10)), [2, 1]);
    let draining: Vec<_> = online.edges().iter().map(|edge| (edge.draining, edge.sessions)).collect();
    assert!(draining.contains(&(true, 1)) && draining.contains(&(false, 1)), "{draining:?}");
    assert!(matches!(old.describe(info("a", "2")), Err(ReportFault::Renamed)));
    drop(old);
    new.list(vec![session(1, 2)], true).unwrap();
    assert_eq!(numbers(&online.sessions(account(1), None, 10)), [2]);
    assert_eq!(online.edges().len(), 1);
}

#[test]
fn a_newer_report_of_a_process_takes_the_place_of_the_older() {
    let online = Online::default();
    let (older, _older_commands) = begin(&online, "a", "1");
    older.list(vec![session(1, 1)], true).unwrap();
    let (newer, _newer_commands) = begin(&online, "a", "1");
    assert!(matches!(older.change(vec![session(1, 3)], &[]), Err(ReportFault::Replaced)));
    drop(older);
    assert!(online.edges()[0].connected);
    newer.list(vec![session(1, 2)], true).unwrap();
    assert_eq!(numbers(&online.sessions(account(1), None, 10)), [2]);
}

#[test]
fn processes_and_items_have_limits() {
    let online = Online::default();
    let mut held = Vec::new();
    for number in 0..PROCESSES_MAX {
        held.push(begin(&online, "a", &number.to_string()));
    }
    let (sender, _commands) = mpsc::channel(1);
    let refused = online.begin(info("a", "one more"), sender).unwrap_err();
    assert!(matches!(refused, ReportFault::Processes), "{refused}");
    let (edge, _) = &held[0];
    let many = || (1..=ITEMS_MAX as u32 / 2 + 1).map(|number| endpoint(1, number, 1, "")).collect::<Vec<_>>();
    edge.list(many(), false).unwrap();
    assert!(matches!(edge.list(many(), true), Err(ReportFault::Items)));
}

#[tokio::test(start_paused = true)]
async fn commands_go_to_the_edge_of_the_session_and_come_to_something() {
    let online = Online::default();
    let (edge, mut commands) = begin(&online, "a", "1");
    edge.list(vec![session(1, 2)], true).unwrap();
    let stop = || online.command(account(1), session_id(2), &AgentCommand::Stop);
    let answered = async |answer: Answer| {
        let (result, ()) = tokio::join!(stop(), async {
            let command = commands.recv().await.unwrap();
            assert_eq!(command.session_id, session_id(2).to_string());
            edge.answer(command.command_id + 1, Answer::Done).unwrap();
            edge.answer(command.command_id, answer).unwrap();
        });
        result
    };
    let mut answered = answered;
    assert_eq!(answered(Answer::Done).await, Ok(()));
    let refusal = Code::ERR_NGROK_1122.plain();
    assert_eq!(answered(Answer::Failed(refusal.clone())).await, Err(refusal));
    let code = |result: PublicResult| result.unwrap_err().code;
    assert_eq!(code(answered(Answer::UnknownSession).await), Code::ERR_PORTWAY_40401);
    // Nobody answers: the deadline of the paused clock comes.
    assert_eq!(code(stop().await), Code::ERR_NGROK_807);
    let foreign = online.command(account(2), session_id(2), &AgentCommand::Stop).await;
    assert_eq!(code(foreign), Code::ERR_PORTWAY_40401, "another account's session does not exist");
    // The edge is lost while somebody waits, and before.
    let (result, ()) = tokio::join!(stop(), async { drop(edge) });
    assert_eq!(code(result), Code::ERR_NGROK_807);
    assert_eq!(code(stop().await), Code::ERR_NGROK_807);
}
