//! What a connection may use, and how SSH is configured.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::server::Config;
use russh::{MethodKind, MethodSet, Preferred, SshId, cipher, compression, kex, mac};

use crate::HostKeys;

/// Limits of one SSH connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the first byte to the login. People type the passphrase of their key, or paste an authtoken, within it.
    pub login_grace: Duration,
    /// From the login to the command and the first `-R`.
    pub setup_grace: Duration,
    /// Keys that a client may try. OpenSSH's own server counts six.
    pub keys_tried: usize,
    /// `-R` options of one connection: one endpoint each.
    pub forwards: usize,
    /// Visitors' streams open at once.
    pub streams: usize,
    /// Silence after which the client is asked for a sign of life; after [`Limits::keepalive_max`] without an answer it is dead.
    pub keepalive: Duration,
    /// Questions without an answer.
    pub keepalive_max: usize,
    /// How long the client may take no byte while there are some for it. SSH's own keep-alive waits behind them.
    pub write_stall: Duration,
    /// A visitor for whom more than half a megabyte waits, while others wait for the connection, is cut off unless they take 64 KiB within this.
    pub reader_stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            login_grace: Duration::from_secs(60),
            setup_grace: Duration::from_secs(10),
            keys_tried: 6,
            forwards: 16,
            streams: 512,
            keepalive: Duration::from_secs(15),
            keepalive_max: 2,
            write_stall: Duration::from_secs(45),
            reader_stall: Duration::from_secs(10),
        }
    }
}

/// Bytes that a client may send on a channel before they are acknowledged: OpenSSH's own value. It also bounds what may be under way while
/// keys are renewed: russh ends a session that has more than twice of it in flight then.
pub(crate) const WINDOW: u32 = 2 * 1024 * 1024;

/// Largest packet of a channel (RFC 4253 section 6.1 demands that any implementation takes this much).
const MAX_PACKET: u32 = 32 * 1024;

/// Messages to the session that wait: 16 packets, half a megabyte.
const EVENTS: usize = 16;

/// Keys are renewed after this many bytes in one direction: below 2^32 packets, after which a nonce would come again (RFC 4344 section 3.1).
/// Clients mostly renew earlier by themselves, which is preferred, see [`WINDOW`].
const REKEY_BYTES: usize = (4 << 30) - 1;

/// And after this time.
const REKEY_TIME: Duration = Duration::from_secs(6 * 3600);

/// How long a refused login takes, so that its duration tells nothing.
const REJECTION: Duration = Duration::from_millis(200);

/// Key exchanges: no SHA-1, no finite fields. The last two names make the handshake safe against removed packets (Terrapin,
/// CVE-2023-48795).
const KEX: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::EXTENSION_SUPPORT_AS_SERVER,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
];

/// Ciphers that authenticate, then counter mode; no CBC.
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_256_GCM,
    cipher::AES_128_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

/// No SHA-1, and encrypt-then-MAC first. Without strict key exchange encrypt-then-MAC is open to Terrapin with CBC only, which is not here.
const MACS: &[mac::Name] = &[mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM, mac::HMAC_SHA256, mac::HMAC_SHA512];

/// Of host keys those that there are, and of clients' keys all that are announced as good for signatures (RFC 8308 section 3.1).
const KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
    Algorithm::SkEd25519,
    Algorithm::SkEcdsaSha2NistP256,
];

pub(crate) fn config(keys: &HostKeys, limits: &Limits) -> Arc<Config> {
    let methods = [MethodKind::PublicKey, MethodKind::KeyboardInteractive, MethodKind::Password];
    Arc::new(Config {
        server_id: SshId::Standard(Cow::Borrowed("SSH-2.0-Portway")),
        methods: MethodSet::from(&methods[..]),
        auth_rejection_time: REJECTION,
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: keys.to_vec(),
        certificates: Vec::new(),
        limits: russh::Limits {
            rekey_write_limit: REKEY_BYTES,
            rekey_read_limit: REKEY_BYTES,
            rekey_time_limit: REKEY_TIME,
        },
        window_size: WINDOW,
        maximum_packet_size: MAX_PACKET,
        // What arrives is taken in the handler; nobody reads a channel's queue, and a send to it fails at once.
        channel_buffer_size: 1,
        event_buffer_size: EVENTS,
        preferred: Preferred {
            kex: Cow::Borrowed(KEX),
            key: Cow::Borrowed(KEYS),
            host_key_certificates: Cow::Borrowed(&[]),
            cipher: Cow::Borrowed(CIPHERS),
            mac: Cow::Borrowed(MACS),
            compression: Cow::Borrowed(&[compression::NONE]),
        },
        // The handler counts; this is behind it.
        max_auth_attempts: limits.keys_tried.saturating_mul(2),
        inactivity_timeout: None,
        keepalive_interval: Some(limits.keepalive),
        keepalive_max: limits.keepalive_max,
        nodelay: true,
    })
}
