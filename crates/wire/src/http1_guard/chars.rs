//! Which bytes may stand where (RFC 9110 section 5.6.2, RFC 9112 sections 3 and 5).

const fn table(other: &[u8], alphanumeric: bool) -> [bool; 256] {
    let mut table = [false; 256];
    let mut at = 0;
    while at < other.len() {
        table[other[at] as usize] = true;
        at += 1;
    }
    let mut byte = 0;
    while alphanumeric && byte < 256 {
        table[byte] |= (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    table
}

static TOKEN: [bool; 256] = table(b"!#$%&'*+-.^_`|~", true);
/// Wider than RFC 3986 section 2, since clients send quotes and braces as they are; without `#`, since a parser drops the fragment and
/// would route another target than it forwards, and without `<` and `>`, which parsers refuse (see [`is_parsed`]).
static TARGET: [bool; 256] = table(b"!\"$%&'()*+,-./:;=?@[\\]^_`{|}~", true);
static AUTHORITY: [bool; 256] = table(b"-._~%!$&'()*+;=:[]", true);

/// Length of the token at the front.
pub(super) fn token(bytes: &[u8]) -> usize {
    leading(bytes, &TOKEN)
}

/// Length of what may be a request target at the front.
pub(super) fn target(bytes: &[u8]) -> usize {
    leading(bytes, &TARGET)
}

/// Whether a parser behind the guard takes a target of these bytes: of the WHATWG URL standard's sets, a path may not hold a backtick, a
/// query no double quote. The guard refuses them first, with a page that says so.
pub(super) fn is_parsed(target: &[u8]) -> bool {
    let path = target.iter().position(|byte| *byte == b'?').unwrap_or(target.len());
    !target[..path].contains(&b'`') && !target[path..].contains(&b'"')
}

/// Whether all of `bytes` may stand in an authority without user information.
pub(super) fn is_authority(bytes: &[u8]) -> bool {
    leading(bytes, &AUTHORITY) == bytes.len()
}

/// Length of the field value at the front: everything but control characters, tab excepted.
pub(super) fn value(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES * 0x80;
    let mut at = 0;
    while let Some(eight) = bytes[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*eight);
        // The high bit of each byte below 0x20, and of each 0x7F. Borrows may mark bytes above a marked one: only "any" is asked.
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let flipped = word ^ (ONES * 0x7F);
        let delete = flipped.wrapping_sub(ONES) & !flipped;
        if (control | delete) & HIGH != 0 {
            let good = eight.iter().take_while(|byte| is_value(**byte)).count();
            if good < 8 {
                return at + good;
            }
        }
        at += 8;
    }
    at + bytes[at..].iter().take_while(|byte| is_value(**byte)).count()
}

/// The value without white space around it.
pub(super) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

fn is_value(byte: u8) -> bool {
    byte >= 0x20 && byte != 0x7F || byte == b'\t'
}

fn leading(bytes: &[u8], table: &[bool; 256]) -> usize {
    bytes.iter().position(|byte| !table[usize::from(*byte)]).unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_told_byte_by_byte() {
        for byte in 0..=255u8 {
            for place in 0..20 {
                let mut bytes = [b'a'; 20];
                bytes[place] = byte;
                assert_eq!(value(&bytes), if is_value(byte) { 20 } else { place }, "{byte:#x} at {place}");
            }
        }
    }

    proptest! {
        #[test]
        fn words_and_bytes_agree(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(value(&bytes), bytes.iter().take_while(|byte| is_value(**byte)).count());
        }
    }
}
