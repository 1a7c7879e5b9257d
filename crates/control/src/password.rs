//! Passwords, as they are kept.

use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

/// Memory in KiB and passes for a password that the server made: it is random with more than 140 bits, which nobody tries out, and the
/// allocator would keep the memory of a slow hash for as long as the server idles.
const GENERATED: (u32, u32) = (1024, 1);
/// The same for one that somebody chose, which others may guess (OWASP Password Storage Cheat Sheet: 19 MiB, two passes).
const CHOSEN: (u32, u32) = (19 * 1024, 2);

/// One hash at a time: each takes memory and a processor, and whoever may set passwords could ask for hundreds.
static TURNS: Semaphore = Semaphore::const_new(1);

/// The hash of a password that the server made.
pub(crate) async fn hash_generated(password: SecretString) -> String {
    hash(password, GENERATED).await
}

/// The hash of a password that somebody chose.
pub(crate) async fn hash_chosen(password: SecretString) -> String {
    hash(password, CHOSEN).await
}

/// argon2id (RFC 9106 section 3.2), off the runtime's threads: it takes milliseconds.
async fn hash(password: SecretString, (memory, passes): (u32, u32)) -> String {
    let _turn = TURNS.acquire().await.expect("it is never closed");
    let hashing = tokio::task::spawn_blocking(move || {
        let params = Params::new(memory, passes, 1, None).expect("the parameters are within their bounds");
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let hashed = argon2.hash_password(password.expose_secret().as_bytes());
        hashed.expect("a password within the limits of a secret is valid").to_string()
    });
    hashing.await.expect("hashing does not panic and is never aborted")
}
