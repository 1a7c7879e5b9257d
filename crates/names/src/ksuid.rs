//! K-sortable unique ids: a time and a payload that sort and print well.

use std::fmt;
use std::str::FromStr;

/// Second 0 of a [`Ksuid`], in seconds since 1970.
pub const KSUID_EPOCH: u64 = 1_400_000_000;

/// Characters of a [`Ksuid`] in text.
pub const KSUID_TEXT_LEN: usize = 27;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// 20 bytes: seconds since [`KSUID_EPOCH`] as 4 bytes, big-endian, and 16 bytes of payload. The text is 27 characters of base 62.
/// Byte order, text order and (to the second) time order are the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ksuid([u8; 20]);

/// Why a text is no KSUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KsuidError {
    /// Not 27 characters.
    #[error("a KSUID has 27 characters")]
    Length,
    /// A character that is no letter or digit.
    #[error("a KSUID consists of ASCII letters and digits")]
    BadCharacter,
    /// A number of more than 160 bits.
    #[error("the KSUID is larger than the largest one")]
    Overflow,
}

impl Ksuid {
    /// Makes one from seconds since 1970 and 16 bytes of payload, which should be random. Times before [`KSUID_EPOCH`] and after the
    /// year 2150 become the nearest that can be written.
    pub fn from_parts(unix_secs: u64, payload: [u8; 16]) -> Ksuid {
        let seconds = u32::try_from(unix_secs.saturating_sub(KSUID_EPOCH)).unwrap_or(u32::MAX);
        let mut bytes = [0; 20];
        bytes[..4].copy_from_slice(&seconds.to_be_bytes());
        bytes[4..].copy_from_slice(&payload);
        Ksuid(bytes)
    }

    /// From its 20 bytes.
    pub const fn from_bytes(bytes: [u8; 20]) -> Ksuid {
        Ksuid(bytes)
    }

    /// The 20 bytes.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// When it was made, in seconds since 1970.
    pub fn unix_secs(&self) -> u64 {
        let [a, b, c, d, ..] = self.0;
        KSUID_EPOCH + u64::from(u32::from_be_bytes([a, b, c, d]))
    }
}

impl fmt::Display for Ksuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = to_words(&self.0);
        let mut text = [b'0'; KSUID_TEXT_LEN];
        for character in text.iter_mut().rev() {
            let mut rest = 0;
            for word in &mut words {
                let value = (rest << 32) | u64::from(*word);
                // The quotient fits: rest < 62.
                *word = (value / 62) as u32;
                rest = value % 62;
            }
            *character = ALPHABET[rest as usize];
        }
        f.pad(std::str::from_utf8(&text).expect("the alphabet is ASCII"))
    }
}

impl fmt::Debug for Ksuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Ksuid {
    type Err = KsuidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != KSUID_TEXT_LEN {
            return Err(KsuidError::Length);
        }
        let mut words = [0_u32; 5];
        for byte in text.bytes() {
            let mut carry = u64::from(digit(byte).ok_or(KsuidError::BadCharacter)?);
            for word in words.iter_mut().rev() {
                let value = u64::from(*word) * 62 + carry;
                *word = value as u32;
                carry = value >> 32;
            }
            if carry != 0 {
                return Err(KsuidError::Overflow);
            }
        }
        let mut bytes = [0; 20];
        for (chunk, word) in bytes.chunks_exact_mut(4).zip(words) {
            chunk.copy_from_slice(&word.to_be_bytes());
        }
        Ok(Ksuid(bytes))
    }
}

/// The number as five 32-bit digits, highest first.
fn to_words(bytes: &[u8; 20]) -> [u32; 5] {
    let mut words = [0; 5];
    for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = u32::from_be_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
    }
    words
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'Z' => Some(byte - b'A' + 10),
        b'a'..=b'z' => Some(byte - b'a' + 36),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use svix_ksuid::KsuidLike;

    use super::*;

    #[test]
    fn known_values() {
        // From the README of the original implementation (github.com/segmentio/ksuid).
        let ksuid: Ksuid = "0ujtsYcgvSTl8PAuAdqWYSMnLOv".parse().unwrap();
        assert_eq!(ksuid.unix_secs(), 1_507_608_047);
        assert_eq!(ksuid.as_bytes()[4..], 0xB5A1_CD34_B5F9_9D11_54FB_6853_345C_9735_u128.to_be_bytes());
        assert_eq!(Ksuid::from_bytes([0; 20]).to_string(), "000000000000000000000000000");
        assert_eq!(Ksuid::from_bytes([0xFF; 20]).to_string(), "aWgEPTl1tmebfsQzFP4bxwgy80V");
    }

    #[test]
    fn what_is_no_ksuid() {
        assert_eq!("".parse::<Ksuid>(), Err(KsuidError::Length));
        assert_eq!("0".repeat(26).parse::<Ksuid>(), Err(KsuidError::Length));
        assert_eq!("0".repeat(28).parse::<Ksuid>(), Err(KsuidError::Length));
        assert_eq!("0ujtsYcgvSTl8PAuAdqWYSMnLO-".parse::<Ksuid>(), Err(KsuidError::BadCharacter));
        assert_eq!("0ujtsYcgvSTl8PAuAdqWYSMnLü".parse::<Ksuid>(), Err(KsuidError::BadCharacter));
        assert_eq!("aWgEPTl1tmebfsQzFP4bxwgy80W".parse::<Ksuid>(), Err(KsuidError::Overflow));
        assert_eq!("zzzzzzzzzzzzzzzzzzzzzzzzzzz".parse::<Ksuid>(), Err(KsuidError::Overflow));
    }

    #[test]
    fn times_out_of_range_become_the_nearest() {
        assert_eq!(Ksuid::from_parts(0, [0; 16]).unix_secs(), KSUID_EPOCH);
        assert_eq!(Ksuid::from_parts(u64::MAX, [0; 16]).unix_secs(), KSUID_EPOCH + u64::from(u32::MAX));
    }

    proptest! {
        #[test]
        fn agrees_with_another_implementation(bytes in any::<[u8; 20]>()) {
            let ours = Ksuid::from_bytes(bytes);
            let theirs = svix_ksuid::Ksuid::from_bytes(bytes);
            prop_assert_eq!(ours.to_string(), theirs.to_base62());
            prop_assert_eq!(ours.unix_secs(), u64::try_from(theirs.timestamp_seconds()).unwrap());
            prop_assert_eq!(ours.to_string().parse(), Ok(ours));
        }

        #[test]
        fn text_sorts_like_bytes(a in any::<[u8; 20]>(), b in any::<[u8; 20]>()) {
            let (a, b) = (Ksuid::from_bytes(a), Ksuid::from_bytes(b));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }

        #[test]
        fn parts_come_back(secs in KSUID_EPOCH..KSUID_EPOCH + 0xFFFF_FFFF, payload in any::<[u8; 16]>()) {
            let ksuid = Ksuid::from_parts(secs, payload);
            prop_assert_eq!(ksuid.unix_secs(), secs);
            prop_assert_eq!(&ksuid.as_bytes()[4..], &payload);
        }
    }
}
