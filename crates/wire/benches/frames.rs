//! What every stream, request and connection passes through: frame headers, stream heads, the HTTP/1 guard, ClientHello.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use portway_proto::agent::v1::ConnectionHead;
use portway_wire::client_hello::ClientHelloParser;
use portway_wire::frame::{Flags, FrameHeader, FrameKind};
use portway_wire::head::{HeadDecoder, encode_connection_head};
use portway_wire::http1_guard::{GuardLimits, Http1Guard};

fn headers(c: &mut Criterion) {
    let header = FrameHeader { length: 16_384, kind: FrameKind::Data, flags: Flags::SYN, stream: 12_345 };
    c.bench_function("frame header, encode and decode", |b| {
        b.iter(|| FrameHeader::decode(&black_box(header).encode()));
    });
}

fn heads(c: &mut Criterion) {
    let head = ConnectionHead {
        endpoint: 7,
        client_ip: Bytes::from_static(&[203, 0, 113, 7]),
        client_port: 50_123,
        server_ip: Bytes::from_static(&[192, 0, 2, 1]),
        server_port: 443,
    };
    c.bench_function("stream head, encode", |b| b.iter(|| encode_connection_head(black_box(&head))));
    let encoded = encode_connection_head(&head);
    c.bench_function("stream head, decode", |b| {
        b.iter(|| HeadDecoder::new().push(&mut BytesMut::from(&encoded[..])).is_ok());
    });
}

fn guard(c: &mut Criterion) {
    let small = &b"GET /index.html HTTP/1.1\r\nHost: app.example.com\r\nUser-Agent: wrk\r\nAccept: */*\r\n\r\n"[..];
    let cookie = "session=0123456789abcdef; ".repeat(20);
    let browser = format!(
        "GET /assets/app.js?v=42 HTTP/1.1\r\nHost: app.example.com\r\nConnection: keep-alive\r\nAccept: text/html,application/xhtml+xml\r\n\
         Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-GB,en;q=0.9\r\nCookie: {cookie}\r\n\r\n"
    );
    let mut group = c.benchmark_group("http1 guard");
    for (name, request) in [("small request", small), ("browser request", browser.as_bytes())] {
        group.throughput(Throughput::Bytes(request.len() as u64));
        let mut guard = Http1Guard::new(GuardLimits::default());
        group.bench_function(name, |b| b.iter(|| guard.observe(black_box(request))));
    }
    group.finish();
}

fn client_hello(c: &mut Criterion) {
    let hex = include_str!("../src/client_hello/rustls_named.hex").replace('\n', "");
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap_or_default();
    let hello: Vec<u8> = (0..hex.len()).step_by(2).map(digit).collect();
    c.bench_function("client hello", |b| b.iter(|| ClientHelloParser::new().feed(black_box(&hello)).is_ok()));
}

criterion_group!(benches, headers, heads, guard, client_hello);
criterion_main!(benches);
