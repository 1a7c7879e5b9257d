//! Hellos of rustls 0.23 as captured, in every splitting, and hellos made by hand that must not pass.

use proptest::prelude::*;

use super::*;

/// To app.example.com, with h2 and http/1.1, a post-quantum key share: 1,490 bytes.
const NAMED: &str = include_str!("rustls_named.hex");
/// To an IP address (no server_name), without ALPN: 222 bytes.
const UNNAMED: &str = include_str!("rustls_unnamed.hex");

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn named() -> ClientHello {
    ClientHello { server_name: Some("app.example.com".into()), alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()] }
}

fn parse(bytes: &[u8]) -> Result<Status<ClientHello>, ClientHelloError> {
    ClientHelloParser::new().feed(bytes)
}

/// A handshake message in records of at most `size` bytes.
fn records(message: &[u8], size: usize) -> Vec<u8> {
    let record = |part: &[u8]| [&[22, 3, 1][..], &(part.len() as u16).to_be_bytes(), part].concat();
    message.chunks(size).flat_map(record).collect()
}

/// A ClientHello with these extensions.
fn hello(extensions: &[(u16, &[u8])]) -> Vec<u8> {
    let extensions: Vec<u8> = extensions
        .iter()
        .flat_map(|(kind, content)| [&kind.to_be_bytes()[..], &(content.len() as u16).to_be_bytes(), content].concat())
        .collect();
    let body =
        [&[3; 34][..], &[0, 0, 2, 0x13, 1, 1, 0], &(extensions.len() as u16).to_be_bytes(), &extensions].concat();
    let message = [&[1, 0][..], &(body.len() as u16).to_be_bytes(), &body].concat();
    records(&message, 16_384)
}

#[test]
fn captured_hellos() {
    assert_eq!(parse(&bytes(NAMED)), Ok(Status::Complete(named())));
    assert_eq!(parse(&bytes(UNNAMED)), Ok(Status::Complete(ClientHello::default())));
}

#[test]
fn cut_at_every_byte() {
    let all = bytes(NAMED);
    for cut in 0..all.len() {
        let mut parser = ClientHelloParser::new();
        assert_eq!(parser.feed(&all[..cut]), Ok(Status::Incomplete));
        assert_eq!(parser.feed(&all[cut..]), Ok(Status::Complete(named())));
    }
}

#[test]
fn split_over_records_of_every_size() {
    let all = bytes(NAMED);
    for size in 1..all.len() {
        assert_eq!(parse(&records(&all[RECORD_HEADER..], size)), Ok(Status::Complete(named())));
    }
}

#[test]
fn other_protocols_are_told_at_once() {
    for other in [&b"GET / HTTP/1.1\r\n"[..], b"SSH-2.0", b"\x16\x02", b"\x80\x2e\x01", b"\x15\x03\x01\x00\x02\x02\x28"]
    {
        assert_eq!(parse(other), Err(ClientHelloError::NotTls));
    }
    assert_eq!(parse(&records(&[2, 0, 0, 0], 4)), Err(ClientHelloError::NotClientHello));
    let mut interleaved = records(&bytes(NAMED)[RECORD_HEADER..], 1000);
    interleaved[RECORD_HEADER + 1000] = 23;
    assert_eq!(parse(&interleaved), Err(ClientHelloError::NotTls));
}

#[test]
fn malformed_hellos_are_refused() {
    let refused =
        |extensions: &[(u16, &[u8])]| matches!(parse(&hello(extensions)), Err(ClientHelloError::Malformed(_)));
    let one = &[0, 4, 0, 0, 1, b'a'][..];
    assert!(!refused(&[(0, one), (43, b"x")]));
    assert!(refused(&[(0, one), (0, one)]), "two extensions");
    assert!(refused(&[(0, &[0, 8, 0, 0, 1, b'a', 0, 0, 1, b'b'])]), "two names");
    assert!(refused(&[(0, &[0, 4, 1, 0, 1, b'a'])]), "a name of another type");
    assert!(refused(&[(0, &[0, 3, 0, 0, 0])]), "an empty name");
    assert!(refused(&[(0, &[0, 0])]), "no name");
    assert!(refused(&[(0, &[0, 4, 0, 0, 1, 0])]), "NUL");
    assert!(refused(&[(0, &[0, 4, 0, 0, 1, 0xE4])]), "not ASCII");
    assert!(refused(&[(0, &[0, 4, 0, 0, 9, b'a'])]), "a length that points outside");
    assert!(refused(&[(16, &[0, 0])]), "no protocol");
    assert!(refused(&[(16, &[0, 1, 0])]), "an empty protocol");
    assert!(refused(&[(16, &[0, 2, 9, b'a'])]), "a protocol that is cut");
    assert!(matches!(parse(&[22, 3, 1, 0, 0]), Err(ClientHelloError::Malformed(_))), "an empty record");
    assert!(matches!(parse(&[22, 3, 1, 0x40, 1]), Err(ClientHelloError::Malformed(_))), "an overlong record");
}

#[test]
fn a_hello_without_extensions_asks_for_nothing() {
    let body = [&[3; 34][..], &[0, 0, 2, 0x13, 1, 1, 0]].concat();
    let message = [&[1, 0, 0, body.len() as u8][..], &body].concat();
    assert_eq!(parse(&records(&message, 100)), Ok(Status::Complete(ClientHello::default())));
}

#[test]
fn length_is_bounded() {
    assert_eq!(parse(&records(&[1, 1, 0, 1], 4)), Err(ClientHelloError::TooLong));
    // An extension of 16 KiB is allowed, and a message of 60,000 bytes in records of one byte is not.
    assert!(matches!(parse(&hello(&[(99, &[0; 16_000]), (0, &[0, 4, 0, 0, 1, b'a'])])), Ok(Status::Complete(_))));
    let long = [&[1, 0, 0xEA, 0x60][..], &[0; 50_000]].concat();
    assert_eq!(parse(&records(&long, 1)), Err(ClientHelloError::TooLong));
}

proptest! {
    #[test]
    fn split_in_any_way(sizes in prop::collection::vec(1..400usize, 1..40), pieces in prop::collection::vec(1..300usize, 1..40)) {
        let all = bytes(NAMED);
        let (mut wire, mut rest, mut sizes) = (Vec::new(), &all[RECORD_HEADER..], sizes.into_iter().cycle());
        while !rest.is_empty() {
            let (part, after) = rest.split_at(sizes.next().unwrap_or(1).min(rest.len()));
            wire.extend(records(part, part.len()));
            rest = after;
        }
        let (mut parser, mut rest, mut pieces) = (ClientHelloParser::new(), &wire[..], pieces.into_iter().cycle());
        let mut last = Status::Incomplete;
        while !rest.is_empty() {
            prop_assert_eq!(&last, &Status::Incomplete);
            let (piece, after) = rest.split_at(pieces.next().unwrap_or(1).min(rest.len()));
            last = parser.feed(piece).unwrap();
            rest = after;
        }
        prop_assert_eq!(last, Status::Complete(named()));
    }

    #[test]
    fn damage_never_panics(place in any::<prop::sample::Index>(), byte in any::<u8>(), end in any::<prop::sample::Index>()) {
        let mut all = bytes(NAMED);
        let place = place.index(all.len());
        all[place] = byte;
        let _ = parse(&all[..end.index(all.len())]);
    }
}
