//! The login.
//!
//! russh has one place for a text to the user before the login, at its very beginning. So an error that is certain (an authtoken that is not
//! valid, a user name that asks for another version, too many keys) lets the client in, where it gets the text and may do nothing; a key that
//! nobody knows is refused, since the next one may be right, and the text comes with the prompt for an authtoken, or with the next try.

use std::net::SocketAddr;
use std::sync::Arc;

use portway_codes::{Code, PublicError};
use russh::keys::{Algorithm, PublicKey};
use russh::server::Auth;
use secrecy::SecretString;

use crate::login::{Gate, Offer, key_offer, token_offer, user_name};
use crate::session::Shared;

/// Prompts for an authtoken that a connection gets.
const PROMPTS: usize = 3;

/// Longest answer to a prompt, as password too, that is looked at.
const MAX_ANSWER_LEN: usize = 1024;

/// What is known about the client so far.
pub(super) struct Login<G: Gate> {
    gate: Arc<G>,
    peer: SocketAddr,
    shared: Arc<Shared>,
    /// A key that the gate knows, not proved yet.
    known: Option<(String, G::Who)>,
    /// Decided: who it is, or what the user is to be told.
    outcome: Option<Result<G::Who, PublicError>>,
    keys_tried: usize,
    prompts: usize,
}

impl<G: Gate> Login<G> {
    pub(super) fn new(gate: Arc<G>, shared: Arc<Shared>) -> Self {
        let peer = shared.peer;
        Self { gate, peer, shared, known: None, outcome: None, keys_tried: 0, prompts: 0 }
    }

    /// How the login ended; `None` before it has.
    pub(super) fn outcome(&self) -> Option<Result<G::Who, PublicError>> {
        self.outcome.clone()
    }

    /// The method "none" (RFC 4252 section 5.2), with which clients begin: good when the user name says it all.
    pub(super) async fn none(&mut self, user: &str) -> Auth {
        if self.by_name(user).await {
            return Auth::Accept;
        }
        self.refuse(Code::ERR_NGROK_1100.plain())
    }

    pub(super) async fn password(&mut self, user: &str, password: &str) -> Auth {
        if !self.by_name(user).await {
            self.token(password).await;
        }
        Auth::Accept
    }

    /// A key, not proved yet.
    pub(super) async fn key_offered(&mut self, user: &str, key: &PublicKey, algorithm: &Algorithm) -> Auth {
        if self.by_name(user).await {
            return Auth::Accept;
        }
        self.keys_tried += 1;
        if self.keys_tried > self.shared.limits.keys_tried {
            self.outcome = Some(Err(Code::ERR_NGROK_1101.plain()));
            return Auth::Accept;
        }
        let offered = match key_offer(key, algorithm) {
            Ok(offered) => offered,
            Err(error) => return self.refuse(error),
        };
        let fingerprint = offered.fingerprint.clone();
        match self.gate.admit(Offer::Key(offered), self.peer).await {
            Ok(who) => {
                self.known = Some((fingerprint, who));
                Auth::Accept
            }
            Err(error) if error.code == Code::ERR_NGROK_1102 => self.refuse(error),
            Err(error) => {
                self.outcome = Some(Err(error));
                Auth::Accept
            }
        }
    }

    /// The client has proved that it has the private half.
    pub(super) fn key_proved(&mut self, key: &PublicKey, algorithm: &Algorithm) -> Auth {
        if self.outcome.is_none()
            && let Ok(proved) = key_offer(key, algorithm)
            && let Some((fingerprint, who)) = self.known.take()
            && proved.fingerprint == fingerprint
        {
            self.outcome = Some(Ok(who));
        }
        if self.outcome.is_some() { Auth::Accept } else { Auth::reject() }
    }

    /// Asks for an authtoken (RFC 4256 section 3.2), and says why.
    pub(super) async fn prompt(&mut self, user: &str) -> Auth {
        if self.by_name(user).await {
            return Auth::Accept;
        }
        self.prompts += 1;
        if self.prompts > PROMPTS {
            return Auth::reject();
        }
        let why = self.shared.refusal().unwrap_or_else(|| Code::ERR_NGROK_1100.plain());
        Auth::Partial {
            name: "".into(),
            instructions: why.to_string().into(),
            prompts: vec![("Authtoken: ".into(), false)].into(),
        }
    }

    /// The answer to the prompt. Nothing is no answer; OpenSSH asks again then.
    pub(super) async fn answer(&mut self, answer: &[u8]) -> Auth {
        match std::str::from_utf8(answer).map(str::trim) {
            Ok(token) if !token.is_empty() => {
                self.token(token).await;
                Auth::Accept
            }
            _ => Auth::reject(),
        }
    }

    /// Decides by the user name alone when that is possible.
    async fn by_name(&mut self, user: &str) -> bool {
        if self.outcome.is_some() {
            return true;
        }
        match user_name(user) {
            Err(error) => self.outcome = Some(Err(error)),
            Ok(name) => match name.token {
                Some(token) => self.offer_token(token).await,
                None => return false,
            },
        }
        true
    }

    async fn token(&mut self, token: &str) {
        if token.len() > MAX_ANSWER_LEN {
            self.outcome = Some(Err(Code::ERR_NGROK_105.plain()));
            return;
        }
        self.offer_token(SecretString::from(token)).await;
    }

    async fn offer_token(&mut self, token: SecretString) {
        self.outcome = Some(match token_offer(token) {
            Ok(offer) => self.gate.admit(offer, self.peer).await,
            Err(error) => Err(error),
        });
    }

    fn refuse(&self, error: PublicError) -> Auth {
        self.shared.refuse(error);
        Auth::reject()
    }
}
