//! What schemes read out of a request: form fields, queries.

use percent_encoding::percent_decode;

/// Fields that are read of a form or query. Twilio sends some forty.
const FIELDS_MAX: usize = 1_000;

/// A field of a form or query, decoded.
pub(super) type Field = (Vec<u8>, Vec<u8>);

/// The fields of `application/x-www-form-urlencoded`; `None` when there are too many.
pub(super) fn fields(text: &[u8]) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    for pair in text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        if fields.len() == FIELDS_MAX {
            return None;
        }
        let at = pair.iter().position(|byte| *byte == b'=');
        let (name, value) = at.map_or((pair, &[][..]), |at| (&pair[..at], &pair[at + 1..]));
        fields.push((decode(name), decode(value)));
    }
    Some(fields)
}

/// The one value of a name.
pub(super) fn one<'a>(fields: &'a [Field], name: &str) -> Option<&'a [u8]> {
    let mut values = fields.iter().filter(|(found, _)| found == name.as_bytes()).map(|(_, value)| value.as_slice());
    let (value, more) = (values.next()?, values.next());
    Some(value).filter(|_| more.is_none())
}

/// The part of a target behind the question mark.
pub(super) fn query(path_and_query: &str) -> &str {
    path_and_query.split_once('?').map_or("", |(_, query)| query)
}

fn decode(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decode(&spaced).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read() {
        let read = fields(b"a=1&b=%2B1+2&&c&a=").unwrap();
        let text =
            |field: &Field| format!("{}={}", String::from_utf8_lossy(&field.0), String::from_utf8_lossy(&field.1));
        assert_eq!(read.iter().map(text).collect::<Vec<_>>(), ["a=1", "b=+1 2", "c=", "a="]);
        assert_eq!((one(&read, "b"), one(&read, "a"), one(&read, "d")), (Some(&b"+1 2"[..]), None, None));
        assert!(fields("a&".repeat(1_001).as_bytes()).is_none());
    }
}
