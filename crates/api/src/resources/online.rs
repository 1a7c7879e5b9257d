//! What is online: endpoints, tunnels, and the sessions of agents.

use std::collections::BTreeMap;

use crate::object::{body, reply};
use crate::{Ref, Timestamp, Word};

body! {
    /// The wish that an agent updates itself.
    TunnelSessionUpdate {
        /// The version to update to; the newest one when it is left out.
        version: Option<Word<64>>;
    }
    ignored "id";
}

reply! {
    /// An endpoint that is online.
    Endpoint {
        /// The id.
        id: String;
        /// The region that serves it.
        region: String;
        /// When it came online.
        created_at: Timestamp;
        /// When it changed last.
        updated_at: Timestamp;
        /// The same as url; older clients look for it.
        public_url: String;
        /// The protocol: http, https, tcp or tls.
        proto: String;
        /// The scheme of the URL.
        scheme: String;
        /// Host and port of the URL.
        hostport: String;
        /// The host of the URL.
        host: String;
        /// The port of the URL.
        port: u16;
        /// Who serves it: ephemeral for an agent, cloud for this installation.
        r#type: String;
        /// What a program keeps with it.
        metadata: String;
        /// What a person said about it.
        description: String;
        /// The reserved domain that it uses.
        domain: Option<Ref>;
        /// The reserved address that it uses.
        tcp_addr: Option<Ref>;
        /// The tunnel that it is for older clients.
        tunnel: Option<Ref>;
        /// Always null; older clients look for it.
        edge: Option<Ref>;
        /// What the agent forwards to.
        upstream_url: String;
        /// The protocol between agent and service: http1, http2, or empty.
        upstream_protocol: String;
        /// The URL.
        url: String;
        /// Who owns the credential that it was made with.
        principal: Option<Ref>;
        /// The traffic policy, empty when there is none.
        traffic_policy: String;
        /// From where it can be reached: public, internal or kubernetes.
        bindings: Option<Vec<String>>;
        /// The session of the agent that serves it.
        tunnel_session: Option<Ref>;
        /// Where it is found.
        uri: String;
        /// The name that the agent gave it.
        name: String;
        /// Whether others may serve the same URL.
        pooling_enabled: bool;
    }

    /// An endpoint of an agent as older clients see it.
    Tunnel {
        /// The id.
        id: String;
        /// Where it is found.
        uri: String;
        /// The URL; empty for endpoints addressed by labels.
        public_url: String;
        /// When it came online.
        started_at: Timestamp;
        /// What a program keeps with it.
        metadata: String;
        /// The protocol; empty for endpoints addressed by labels.
        proto: String;
        /// The region that serves it.
        region: String;
        /// The session of the agent that serves it.
        tunnel_session: Ref;
        /// The endpoint.
        endpoint: Option<Ref>;
        /// The labels that it is addressed by.
        labels: Option<BTreeMap<String, String>>;
        /// Always null; older clients look for it.
        backends: Option<Vec<Ref>>;
        /// What the agent forwards to.
        forwards_to: String;
    }

    /// The session of an agent.
    TunnelSession {
        /// The version of the agent.
        agent_version: String;
        /// The credential that it logged in with.
        credential: Ref;
        /// The id.
        id: String;
        /// The address that it connected from.
        ip: String;
        /// What a program keeps with it.
        metadata: String;
        /// The operating system of the agent.
        os: String;
        /// The region that it is connected to.
        region: String;
        /// When it began.
        started_at: Timestamp;
        /// The protocol that it speaks.
        transport: String;
        /// Where it is found.
        uri: String;
    }
}
