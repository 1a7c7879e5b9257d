//! Fresh values: ids, tokens, passwords, names.

use aws_lc_rs::digest::{SHA256, digest};
use portway_names::Ksuid;
use portway_store::{Digest, Timestamp};
use secrecy::SecretString;

/// Characters of the secret part of a token: 62^32 is more than 190 bits.
const TOKEN_LEN: usize = 32;
/// Characters of a password that is made for somebody: more than 140 bits, and still typed by hand.
const PASSWORD_LEN: usize = 24;
/// Characters after the words of a generated name. With the words 52 bits: nobody finds an endpoint by trying names.
const NAME_TAIL_LEN: usize = 8;

const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// RFC 4648 section 6, in lower case: nothing that looks like something else.
const BASE32: &[u8] = b"abcdefghijklmnopqrstuvwxyz234567";

const FIRST_WORDS: [&str; 64] = [
    "able", "amber", "aqua", "azure", "bold", "brave", "brief", "bright", "brisk", "calm", "civil", "clean", "clear",
    "clever", "cool", "coral", "cosy", "crisp", "deep", "early", "easy", "even", "fair", "fast", "fine", "firm",
    "fond", "fresh", "gentle", "glad", "gold", "good", "grand", "green", "happy", "hardy", "honest", "jolly", "keen",
    "kind", "lively", "loyal", "lucky", "mellow", "merry", "mild", "neat", "noble", "olive", "plain", "proud", "quick",
    "quiet", "rapid", "ready", "rosy", "sage", "sharp", "silver", "smart", "steady", "sunny", "swift", "warm",
];
const SECOND_WORDS: [&str; 64] = [
    "acorn", "alder", "anchor", "aspen", "badger", "bay", "beacon", "birch", "brook", "canyon", "cedar", "cliff",
    "cloud", "comet", "coral", "cove", "crane", "creek", "dale", "delta", "dune", "eagle", "elm", "falcon", "fern",
    "finch", "fjord", "forest", "fox", "glade", "grove", "harbor", "hawk", "heron", "hill", "island", "jay", "lake",
    "lark", "linden", "maple", "marsh", "meadow", "meteor", "moon", "moss", "oak", "ocean", "otter", "owl", "pebble",
    "pine", "plover", "pond", "reef", "ridge", "river", "robin", "sparrow", "spruce", "stone", "swan", "valley",
    "willow",
];

/// Random bytes.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's random source does not fail after the process started");
    bytes
}

/// The unique part of an id made now.
pub(crate) fn ksuid(now: Timestamp) -> Ksuid {
    Ksuid::from_parts(now.unix_secs(), bytes())
}

/// An authtoken or API key: `<ksuid>_<32 characters>`.
pub(crate) fn token(now: Timestamp) -> String {
    format!("{}_{}", ksuid(now), characters(BASE62, TOKEN_LEN))
}

/// What is kept of a token.
pub(crate) fn token_digest(token: &str) -> Digest {
    digest_of(token.as_bytes())
}

/// What is kept of anything that opens sessions.
pub(crate) fn digest_of(secret: &[u8]) -> Digest {
    let digest = digest(&SHA256, secret);
    Digest::new(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
}

/// A password.
pub(crate) fn password() -> SecretString {
    characters(BASE62, PASSWORD_LEN).into()
}

/// A number below `bound`; zero for zero. Not for secrets: small numbers are a little likelier.
pub(crate) fn below(bound: usize) -> usize {
    usize::try_from(u64::from_le_bytes(bytes()) % (bound.max(1) as u64)).unwrap_or(0)
}

/// A label for an endpoint that wants any name, for example `brave-otter-k3xq7m2p`.
pub(crate) fn label() -> String {
    let [first, second] = bytes();
    let word = |words: &[&'static str; 64], byte: u8| words[usize::from(byte % 64)];
    format!("{}-{}-{}", word(&FIRST_WORDS, first), word(&SECOND_WORDS, second), characters(BASE32, NAME_TAIL_LEN))
}

/// Characters of an alphabet, all equally likely.
fn characters(alphabet: &[u8], len: usize) -> String {
    // Bytes above the largest multiple of the alphabet's length would favour its first characters.
    let fair = 256 - 256 % alphabet.len();
    let mut text = String::with_capacity(len);
    while text.len() < len {
        let drawn = bytes::<32>().into_iter().map(usize::from).filter(|byte| *byte < fair);
        text.extend(drawn.take(len - text.len()).map(|byte| char::from(alphabet[byte % alphabet.len()])));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use portway_names::HostName;
    use portway_store::Timestamp;

    use super::{FIRST_WORDS, SECOND_WORDS, label, token, token_digest};

    #[test]
    fn tokens_have_their_form_and_differ() {
        let tokens: HashSet<String> = (0..100).map(|_| token(Timestamp::now())).collect();
        assert_eq!(tokens.len(), 100);
        for token in tokens {
            let (ksuid, secret) = token.split_once('_').unwrap();
            assert_eq!((ksuid.len(), secret.len()), (27, 32));
            assert!(secret.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        }
    }

    #[test]
    fn labels_are_valid_and_differ() {
        let labels: HashSet<String> = (0..1000).map(|_| label()).collect();
        assert_eq!(labels.len(), 1000);
        for label in labels {
            assert!(label.parse::<HostName>().is_ok() && label.len() <= 24, "{label}");
        }
    }

    #[test]
    fn words_differ() {
        assert_eq!(FIRST_WORDS.iter().collect::<HashSet<_>>().len(), 64);
        assert_eq!(SECOND_WORDS.iter().collect::<HashSet<_>>().len(), 64);
    }

    #[test]
    fn digest_is_sha_256_of_the_text() {
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(token_digest("abc").to_string(), expected);
    }
}
