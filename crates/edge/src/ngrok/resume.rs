//! What an agent brings back after its connection was lost. It is sealed and holds all that is needed, so any edge with the same key can take
//! the agent back, also after a restart.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portway_names::{AccountId, EndpointId, EndpointUrl};
use portway_proto::AgentId;

/// Seals resume data. Edges that share agents have the same.
#[derive(Clone)]
pub struct ResumeKey(std::sync::Arc<LessSafeKey>);

/// What a session is resumed with: the cookie of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SessionCookie {
    pub(super) account: AccountId,
    pub(super) agent: AgentId,
    /// Counts the sessions of the agent.
    pub(super) generation: u64,
}

/// What an endpoint is resumed with: the token of its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EndpointToken {
    pub(super) account: AccountId,
    pub(super) endpoint: EndpointId,
    /// The endpoint has its id under this URL only: no two of different URLs have one.
    pub(super) url: EndpointUrl,
}

impl ResumeKey {
    /// The key made of this secret.
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, secret).expect("the key has the length of AES-256");
        Self(LessSafeKey::new(key).into())
    }

    /// A key that nobody else has.
    pub fn random() -> Self {
        Self::from_secret(&rand::random())
    }

    pub(super) fn seal_cookie(&self, cookie: &SessionCookie) -> String {
        let text = format!("{} {} {}", cookie.account, cookie.agent, cookie.generation);
        self.seal("session", &text)
    }

    /// None for what this installation has not sealed as a cookie.
    pub(super) fn open_cookie(&self, sealed: &str) -> Option<SessionCookie> {
        let text = self.open("session", sealed)?;
        let mut words = text.split(' ');
        Some(SessionCookie {
            account: words.next()?.parse().ok()?,
            agent: parse_agent(words.next()?)?,
            generation: words.next()?.parse().ok()?,
        })
    }

    pub(super) fn seal_token(&self, token: &EndpointToken) -> String {
        self.seal("endpoint", &format!("{} {} {}", token.account, token.endpoint, token.url))
    }

    /// None for what this installation has not sealed as a token.
    pub(super) fn open_token(&self, sealed: &str) -> Option<EndpointToken> {
        let text = self.open("endpoint", sealed)?;
        let mut words = text.split(' ');
        Some(EndpointToken {
            account: words.next()?.parse().ok()?,
            endpoint: words.next()?.parse().ok()?,
            url: words.next()?.parse().ok()?,
        })
    }

    fn seal(&self, purpose: &str, text: &str) -> String {
        // 96 random bits: at a million seals a second a repetition is unlikely for centuries, and would reveal ids only.
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut sealed = text.as_bytes().to_vec();
        let aad = Aad::from(purpose.as_bytes());
        let done = self.0.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed);
        done.expect("a few bytes can be sealed");
        URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat())
    }

    fn open(&self, purpose: &str, sealed: &str) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>()?;
        let mut sealed = sealed.to_vec();
        let aad = Aad::from(purpose.as_bytes());
        let text = self.0.open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut sealed).ok()?;
        String::from_utf8(text.to_vec()).ok()
    }
}

impl fmt::Debug for ResumeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResumeKey")
    }
}

/// Reads the hexadecimal form of an agent id.
pub(super) fn parse_agent(text: &str) -> Option<AgentId> {
    let digits = text.as_bytes();
    if digits.len() != 32 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u128::from_str_radix(text, 16).ok().map(|number| AgentId::new(number.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use portway_names::Ksuid;

    use super::*;

    fn ksuid() -> Ksuid {
        Ksuid::from_parts(1_700_000_000, [7; 16])
    }

    #[test]
    fn cookies_and_tokens_come_back_and_are_not_mistaken_for_each_other() {
        let key = ResumeKey::from_secret(&[1; 32]);
        let (account, endpoint) = (AccountId::new(ksuid()), EndpointId::new(ksuid()));
        let cookie = SessionCookie { account, agent: AgentId::new([0xAB; 16]), generation: 7 };
        let url = "tcp://portway.test:20001".parse().unwrap();
        let token = EndpointToken { account, endpoint, url };
        let (sealed_cookie, sealed_token) = (key.seal_cookie(&cookie), key.seal_token(&token));
        assert_eq!(key.open_cookie(&sealed_cookie), Some(cookie));
        assert_eq!(key.open_token(&sealed_token), Some(token));
        assert_eq!((key.open_cookie(&sealed_token), key.open_token(&sealed_cookie)), (None, None));
        assert!(sealed_cookie.len() < 200 && sealed_token.len() < 200);
    }

    #[test]
    fn nothing_forged_is_opened() {
        let key = ResumeKey::from_secret(&[1; 32]);
        let cookie = SessionCookie { account: AccountId::new(ksuid()), agent: AgentId::new([0; 16]), generation: 1 };
        let sealed = key.seal_cookie(&cookie);
        assert_eq!(ResumeKey::from_secret(&[2; 32]).open_cookie(&sealed), None);
        for at in 0..sealed.len() {
            let mut forged = sealed.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(key.open_cookie(&String::from_utf8(forged).unwrap()), None, "byte {at}");
        }
        for text in ["", "A", "cookie-1", &"A".repeat(4096)] {
            assert_eq!(key.open_cookie(text), None);
        }
    }

    #[test]
    fn agent_ids_are_32_digits() {
        let id = AgentId::new([0x0F; 16]);
        assert_eq!(parse_agent(&id.to_string()), Some(id));
        for wrong in ["", "0f", "+f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0", &"g".repeat(32)] {
            assert_eq!(parse_agent(wrong), None);
        }
    }
}
