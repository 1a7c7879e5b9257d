//! Requests that pass, however they arrive, and requests that must not.

use proptest::prelude::*;

use super::*;

/// Feeds pieces as an edge would: what did not pass is shown again. Tells what passed, and the refusal.
fn run(guard: &mut Http1Guard, pieces: &[&[u8]]) -> (Vec<u8>, Option<Refusal>) {
    let (mut passed, mut kept) = (Vec::new(), Vec::new());
    for piece in pieces {
        kept.extend_from_slice(piece);
        match guard.observe(&kept) {
            Ok(good) => passed.extend(kept.drain(..good)),
            Err(error) => {
                passed.extend(kept.drain(..error.offset));
                return (passed, Some(error.kind));
            }
        }
    }
    (passed, None)
}

fn refusal(bytes: &[u8]) -> Option<Refusal> {
    run(&mut Http1Guard::new(GuardLimits::default()), &[bytes]).1
}

/// Requests with one reading only.
fn good_requests() -> Vec<Vec<u8>> {
    [
        &b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"[..],
        b"\r\nGET /after/an/{\"empty\":1}/line?q={`a`:1}|b HTTP/1.1\r\nHost: a.example:8443\r\nAccept: */*\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nhOsT:a.example\r\n\r\n",
        b"GET http://a.example/x?y HTTP/1.1\r\nHost: A.example \r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: [::1]:80\r\nX-Empty:\r\nX-Tab: a\tb\r\nX-Utf8: \xC3\xA4\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n",
        b"POST / HTTP/1.0\r\nContent-Length:\t5\t\r\n\r\n\r\n\r\n\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=\"b c\"\r\nhello\r\n00F\r\n0123456789abcde\r\n0\r\nX-Sum: 1\r\nGrpc-Status: 0\r\n\r\n",
        b"DELETE /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
    ]
    .map(<[u8]>::to_vec)
    .to_vec()
}

#[test]
fn pipelined_good_requests_pass_unchanged() {
    let all = good_requests().concat();
    let mut guard = Http1Guard::new(GuardLimits::default());
    assert_eq!(run(&mut guard, &[&all]), (all.clone(), None));
    assert_eq!(guard.state(), GuardState::Head);
    let bytes: Vec<_> = all.iter().map(std::slice::from_ref).collect();
    let mut guard = Http1Guard::new(GuardLimits::default());
    assert_eq!(run(&mut guard, &bytes), (all.clone(), None), "byte by byte");
}

/// The smuggling list: one mutation each, and why it is refused.
#[rustfmt::skip]
fn bad_requests() -> Vec<(&'static [u8], Refusal)> {
    use Refusal::*;
    vec![
        // Content-Length and Transfer-Encoding.
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", LengthAndEncoding),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", LengthAndEncoding),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", ContentLengthRepeated),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", ContentLengthRepeated),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", ContentLength),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", ContentLength),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n", ContentLength),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5_0\r\n\r\n", ContentLength),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -0\r\n\r\n", ContentLength),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", ContentLength),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 007\r\n\r\n", ContentLength),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5 5\r\n\r\n", ContentLength),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551617\r\n\r\n", ContentLength),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\n\r\n", HeaderName),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\n\r\n", HeaderName),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", TransferEncoding),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", TransferEncoding),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ,chunked\r\n\r\n", TransferEncoding),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", TransferEncoding),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", TransferEncoding),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", TransferEncoding),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", TransferEncoding),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", TransferEncoding),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\x0bchunked\r\n\r\n", HeaderValue),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\t: chunked\r\n\r\n", SpaceBeforeColon),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n", TransferEncoding),
        (b"POST / HTTP/1.1\r\nHost: a\r\nX: y\r\n Transfer-Encoding: chunked\r\n\r\n", Folding),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", TransferEncodingRepeated),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", EncodingInHttp10),
        // Chunks.
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", ChunkSize),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1_0\r\n", ChunkSize),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\n", ChunkSize),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n", ChunkSize),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n00000000000000005\r\n", ChunkSize),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\0\r\n", ChunkSize),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5 \r\n", ChunkSize),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n 5\r\n", ChunkSize),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", ChunkSize),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n;a\r\n", ChunkSize),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", BareLf),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a\nhello\r\n0\r\n\r\n", BareLf),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a\rb\r\nhello\r\n0\r\n\r\n", BareCr),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\rXhello\r\n0\r\n\r\n", BareCr),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a\x01\r\n", ChunkExtension),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n", ChunkEnd),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\rX0\r\n\r\n", ChunkEnd),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n", ChunkEnd),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\n", TrailerName),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\ntransfer_encoding: chunked\r\n\r\n", TrailerName),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHOST: b\r\n\r\n", TrailerName),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\n\r\n", BareLf),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\rX", BareCr),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nGET / HTTP/1.1\r\n\r\n", SpaceBeforeColon),
        // Lines and fields.
        (b"GET / HTTP/1.1\nHost: a\r\n\r\n", BareLf),
        (b"GET / HTTP/1.1\r\nHost: a\n\r\n", BareLf),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\n", BareLf),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\rX", BareCr),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", BareCr),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", HeaderValue),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x7fb\r\n\r\n", HeaderValue),
        (b"GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", HeaderName),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", HeaderName),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX\0: y\r\n\r\n", HeaderName),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX\xff: y\r\n\r\n", HeaderName),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX(: y\r\n\r\n", HeaderName),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", SpaceBeforeColon),
        (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", Folding),
        // Host.
        (b"GET / HTTP/1.1\r\n\r\n", HostMissing),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", HostRepeated),
        (b"GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n", HostRepeated),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", Host),
        (b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", Host),
        (b"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", Host),
        (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Host),
        (b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", HostMismatch),
        (b"GET http://a@b/ HTTP/1.1\r\nHost: b\r\n\r\n", Target),
        (b"GET http://a\\@b/ HTTP/1.1\r\nHost: b\r\n\r\n", HostMismatch),
        // Request line.
        (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        (b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        (b"GET /\r\n\r\n", RequestLine),
        (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", RequestLine),
        (b"GET / HTTP/1.1\rHost: a\r\n\r\n", RequestLine),
        (b"GET /\tHTTP/1.1\r\nHost: a\r\n\r\n", Target),
        (b"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", Target),
        (b"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", Target),
        (b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", Target),
        (b"GET /a<b HTTP/1.1\r\nHost: a\r\n\r\n", Target),
        (b"GET /a?b>c HTTP/1.1\r\nHost: a\r\n\r\n", Target),
        (b"GET /a`b HTTP/1.1\r\nHost: a\r\n\r\n", Target),
        (b"GET /?a=\"b\" HTTP/1.1\r\nHost: a\r\n\r\n", Target),
        (b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", Target),
        (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", Target),
        (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        (b"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        (b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        (b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        (b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
        (b"\x16\x03\x01\x02\x00\x01", RequestLine),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", Version),
        (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", Version),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Version),
        (b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", RequestLine),
        (b"GET / http/1.1\r\nHost: a\r\n\r\n", RequestLine),
        (b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\nHost: a\r\n\r\n", Method),
        (b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nContent-Length: 5\r\n\r\n", ConnectWithBody),
    ]
}

#[test]
fn the_smuggling_list_is_refused_whole_and_byte_by_byte() {
    for (bytes, why) in bad_requests() {
        let shown = String::from_utf8_lossy(bytes);
        assert_eq!(refusal(bytes), Some(why), "{shown:?}");
        let pieces: Vec<_> = bytes.iter().map(std::slice::from_ref).collect();
        let (_, kind) = run(&mut Http1Guard::new(GuardLimits::default()), &pieces);
        assert_eq!(kind, Some(why), "{shown:?} byte by byte");
    }
}

#[test]
fn good_requests_before_a_bad_one_pass_and_nothing_of_it_or_after_it() {
    let good = good_requests().concat();
    for (bad, why) in bad_requests().into_iter().filter(|(bytes, _)| !bytes.starts_with(b"\r\n")) {
        let all = [&good[..], bad, b"GET / HTTP/1.1\r\nHost: b\r\n\r\n"].concat();
        let mut guard = Http1Guard::new(GuardLimits::default());
        let (passed, kind) = run(&mut guard, &[&all]);
        assert_eq!(kind, Some(why));
        // A bad body follows a good head: that much has passed.
        assert!(passed.len() >= good.len() && passed.len() < good.len() + bad.len());
        assert_eq!(guard.state(), GuardState::Refused);
        assert_eq!(guard.observe(b"GET / HTTP/1.1\r\nHost: b\r\n\r\n"), Err(GuardError { offset: 0, kind: why }));
    }
}

#[test]
fn limits() {
    let limits = GuardLimits { max_head: 200, max_headers: 3, max_target: 50, max_trailers: 40 };
    let refusal = |bytes: &[u8]| {
        let kind = run(&mut Http1Guard::new(limits), &[bytes]).1;
        kind.map(|kind| (kind, kind.status()))
    };
    let long = |count: usize| "a".repeat(count);
    let head = |fields: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    assert_eq!(refusal(head("A: 1\r\nB: 2\r\n").as_bytes()), None);
    assert_eq!(refusal(head("A: 1\r\nB: 2\r\nC: 3\r\n").as_bytes()), Some((Refusal::TooManyHeaders, 431)));
    assert_eq!(refusal(head(&format!("A: {}\r\n", long(150))).as_bytes()), None);
    assert_eq!(refusal(head(&format!("A: {}\r\n", long(180))).as_bytes()), Some((Refusal::HeadTooLarge, 431)));
    assert_eq!(refusal(format!("GET / HTTP/1.1\r\nA: {}", long(190)).as_bytes()), Some((Refusal::HeadTooLarge, 431)));
    assert_eq!(refusal(format!("GET /{}", long(60)).as_bytes()), Some((Refusal::TargetTooLong, 414)));
    assert_eq!(refusal(long(33).as_bytes()), Some((Refusal::Method, 501)));
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(refusal(format!("{chunked}0\r\nX: {}", long(50)).as_bytes()), Some((Refusal::TrailersTooLarge, 431)));
    let small = "X: 1234\r\n".repeat(5);
    assert_eq!(refusal(format!("{chunked}0\r\n{small}\r\n").as_bytes()), Some((Refusal::TrailersTooLarge, 431)));
    assert_eq!(refusal(format!("{chunked}1;{}", long(300)).as_bytes()), Some((Refusal::ChunkExtension, 400)));
    let extended = format!("1;{}\r\nx\r\n", long(200)).repeat(100);
    assert_eq!(refusal(format!("{chunked}{extended}").as_bytes()), Some((Refusal::ChunkExtension, 400)));
    assert_eq!(Refusal::Version.status(), 505);
    assert_eq!(Refusal::TransferEncoding.status(), 501);
    assert_eq!(Refusal::BareLf.status(), 400);
}

#[test]
fn what_lies_beyond_a_limit_is_not_looked_at() {
    let limits = GuardLimits { max_head: 100, max_trailers: 20, ..GuardLimits::default() };
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\0", "a".repeat(100));
    let trailers =
        format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: {}\0", "a".repeat(100));
    for (bytes, why) in [(head, Refusal::HeadTooLarge), (trailers, Refusal::TrailersTooLarge)] {
        let pieces: Vec<_> = bytes.as_bytes().chunks(1).collect();
        assert_eq!(run(&mut Http1Guard::new(limits), &[bytes.as_bytes()]).1, Some(why));
        assert_eq!(run(&mut Http1Guard::new(limits), &pieces).1, Some(why));
    }
}

#[test]
fn an_upgrade_holds_what_follows_until_it_is_answered() {
    let upgrade = &b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"[..];
    let all = [upgrade, b"\x81\x05hello"].concat();
    let mut guard = Http1Guard::new(GuardLimits::default());
    assert_eq!(guard.observe(&all), Ok(upgrade.len()));
    assert_eq!(guard.state(), GuardState::MaybeUpgrade);
    assert_eq!(guard.observe(b"\x81\x05hello"), Ok(0));
    guard.upgraded();
    assert_eq!(guard.observe(b"\x81\x05hello\0\n"), Ok(9));
    assert_eq!(guard.state(), GuardState::Tunnel);

    let mut guard = Http1Guard::new(GuardLimits::default());
    assert_eq!(guard.observe(&all), Ok(upgrade.len()));
    guard.not_upgraded();
    assert_eq!(guard.observe(upgrade), Ok(upgrade.len()));
    guard.not_upgraded();
    assert_eq!(guard.observe(b"\x81\x05hello").map_err(|error| error.kind), Err(Refusal::RequestLine));
}

#[test]
fn an_upgrade_with_a_body_is_answered_at_any_time() {
    let head = &b"POST / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\n"[..];
    for granted in [true, false] {
        let mut guard = Http1Guard::new(GuardLimits::default());
        assert_eq!(guard.observe(&[head, b"he"].concat()), Ok(head.len() + 2));
        if granted {
            guard.upgraded()
        } else {
            guard.not_upgraded()
        }
        let rest = b"lloGARBAGE\n";
        match guard.observe(rest) {
            Ok(passed) => assert!(granted && passed == rest.len()),
            Err(error) => assert_eq!((granted, error.offset), (false, 3)),
        }
    }
    let mut guard = Http1Guard::new(GuardLimits::default());
    assert_eq!(guard.observe(b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\nx"), Ok(39));
    assert_eq!(guard.state(), GuardState::MaybeUpgrade);
    guard.upgraded();
    assert_eq!(guard.observe(b"x"), Ok(1));
    let mut guard = Http1Guard::new(GuardLimits::default());
    guard.upgraded();
    assert_eq!(guard.state(), GuardState::Head, "nobody asked");
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let header = ("[A-Za-z-]{1,3}x", "[ -~\t]{0,40}").prop_map(|(name, value)| format!("{name}: {value}\r\n"));
    let chunk = prop::collection::vec(any::<u8>(), 1..50)
        .prop_map(|data| [format!("{:x}\r\n", data.len()).as_bytes(), &data, b"\r\n"].concat());
    let body = prop_oneof![
        Just(b"\r\n".to_vec()),
        prop::collection::vec(any::<u8>(), 0..100).prop_map(|data| [
            format!("Content-Length: {}\r\n\r\n", data.len()).as_bytes(),
            &data
        ]
        .concat()),
        prop::collection::vec(chunk, 0..4).prop_map(|chunks| [
            b"Transfer-Encoding: chunked\r\n\r\n",
            &chunks.concat()[..],
            b"0\r\nSum: x\r\n\r\n"
        ]
        .concat()),
    ];
    ("[A-Z]{1,10}", "/[!\"$-;=@-_a-~]{0,20}(\\?[!$-;=?-~]{0,20})?", prop::collection::vec(header, 0..6), body).prop_map(
        |(method, target, headers, body)| {
            [format!("{method} {target} HTTP/1.1\r\nHost: a.example\r\n{}", headers.concat()).as_bytes(), &body]
                .concat()
        },
    )
}

proptest! {
    #[test]
    fn valid_requests_pass_unchanged_however_split(
        requests in prop::collection::vec(request(), 1..5),
        cuts in prop::collection::vec(1..40usize, 1..50),
    ) {
        let all = requests.concat();
        let (mut pieces, mut rest, mut cuts) = (Vec::new(), &all[..], cuts.into_iter().cycle());
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(cuts.next().unwrap_or(1).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        let mut guard = Http1Guard::new(GuardLimits::default());
        prop_assert_eq!(run(&mut guard, &pieces), (all, None));
    }

    #[test]
    fn how_bytes_are_split_changes_nothing(
        requests in prop::collection::vec(request(), 1..3),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cuts in prop::collection::vec(1..40usize, 1..50),
    ) {
        let mut all = requests.concat();
        let place = place.index(all.len());
        all[place] = byte;
        let (mut pieces, mut rest, mut cuts) = (Vec::new(), &all[..], cuts.into_iter().cycle());
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(cuts.next().unwrap_or(1).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        let whole = run(&mut Http1Guard::new(GuardLimits::default()), &[&all]);
        let split = run(&mut Http1Guard::new(GuardLimits::default()), &pieces);
        prop_assert_eq!(whole, split);
    }
}
