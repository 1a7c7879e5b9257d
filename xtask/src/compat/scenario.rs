//! The scenarios: what each promises, and how it is checked.

use anyhow::Result;

use super::server::Server;
use super::stage::{Outcome, Stage};
use super::{endpoints, middleware, raw, refusals};

/// A scenario.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    /// What holds when it passes.
    pub(super) promise: &'static str,
    pub(super) check: Check,
}

/// How a scenario is checked.
#[derive(Clone, Copy)]
pub(super) enum Check {
    /// By itself, beside others.
    Alone(fn(&Stage<'_>) -> Result<Outcome>),
    /// With the programs of all SDKs online while this is done to the server.
    Together(fn(&mut Server) -> Result<()>),
}

const fn alone(name: &'static str, promise: &'static str, check: fn(&Stage<'_>) -> Result<Outcome>) -> Scenario {
    Scenario { name, promise, check: Check::Alone(check) }
}

const fn together(name: &'static str, promise: &'static str, change: fn(&mut Server) -> Result<()>) -> Scenario {
    Scenario { name, promise, check: Check::Together(change) }
}

pub(super) const SCENARIOS: &[Scenario] = &[
    alone("http-random", "an endpoint without a name gets one below the base domain and serves", endpoints::random),
    alone("http-named", "the wanted name is served; a request arrives as it was sent", endpoints::named),
    alone("http-plain", "an endpoint of scheme http is served on the HTTP address", endpoints::plain),
    alone("two-endpoints", "two endpoints of one session are served", endpoints::two),
    alone("metadata", "metadata and forwards-to are read back", endpoints::metadata),
    alone("download", "200 MB arrive (20 MB for older versions)", endpoints::download),
    alone("websocket", "an upgrade passes", endpoints::websocket),
    alone("pooling", "an endpoint that allows pooling is served", endpoints::pooling),
    alone("close", "a closed endpoint is offline: 404 ERR_NGROK_3200", endpoints::close),
    alone("quit", "a program that ended leaves nothing online", endpoints::quit),
    alone("tcp", "bytes pass both ways", raw::tcp),
    alone("tls", "TLS passes untouched to a service with its own certificate", raw::tls),
    alone("tls-edge", "the server ends TLS with the certificate of the application", raw::tls_edge),
    alone("tls-agent", "the agent ends TLS itself", raw::tls_agent),
    alone("proxy-proto-1", "the service is told the visitor's address, as text", raw::proxy_text),
    alone("proxy-proto-2", "the service is told the visitor's address, in binary", raw::proxy_binary),
    alone("wrong-token", "a token nobody knows: ERR_NGROK_107", refusals::wrong_token),
    alone("bad-token", "something that is no token: ERR_NGROK_105", refusals::bad_token),
    alone("no-token", "no token: ERR_NGROK_105", refusals::no_token),
    alone("acl", "a token binds what its rules allow, and nothing else: ERR_NGROK_316", refusals::acl),
    alone("labels", "a labelled endpoint is online without a URL, or refused: ERR_NGROK_358", refusals::labels),
    alone("policy", "a traffic policy is applied, or refused by name", refusals::policy),
    alone("oauth", "OAuth is applied, or refused by name", refusals::oauth),
    alone("oidc", "OpenID Connect is applied, or refused by name", refusals::oidc),
    alone("basic-auth", "only who knows the password gets in", middleware::basic_auth),
    alone("compression", "answers are compressed for who asks", middleware::compression),
    alone("headers", "fields are added and removed, both ways", middleware::headers),
    alone("ip-allow", "visitors from allowed addresses get in", middleware::ip_allow),
    alone("ip-deny", "visitors from denied addresses do not", middleware::ip_deny),
    alone("circuit-breaker", "an upstream that fails is left alone", middleware::circuit_breaker),
    alone("webhook", "only signed requests pass", middleware::webhook),
    alone("user-agent", "denied programs do not get in", middleware::user_agent),
    alone("websocket-tcp", "what comes in WebSocket messages reaches a TCP service", middleware::websocket_tcp),
    alone("mutual-tls", "only who shows a certificate gets in", middleware::mutual_tls),
    together(
        "upgrade",
        "after a server took over from another all are back, and serve WebSockets and downloads at once",
        Server::upgrade,
    ),
    together(
        "restart",
        "after the server was restarted all are back, and serve WebSockets and downloads at once",
        Server::restart,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_fit_a_host_name() {
        for (index, scenario) in SCENARIOS.iter().enumerate() {
            assert!(SCENARIOS[..index].iter().all(|other| other.name != scenario.name), "{}", scenario.name);
            assert!(
                scenario.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-' || byte.is_ascii_digit())
            );
            // "second-", the scenario, and the longest name of an SDK make one label.
            assert!(scenario.name.len() <= 63 - 7 - 14, "{}", scenario.name);
        }
    }
}
