//! The body of a response, compressed as it passes.

use std::fmt;
use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use brotli::CompressorWriter;
use bytes::buf::{BufMut, Writer};
use bytes::{Bytes, BytesMut};
use flate2::Compression as Level;
use flate2::write::{GzEncoder, ZlibEncoder};
use http::HeaderMap;
use http_body::{Body, Frame};
use portway_traffic::Algorithm;

use super::body::ResponseBody;

/// Effort of gzip and deflate, of 9: the middle, as most servers have it.
const DEFLATE_LEVEL: u32 = 5;

/// Effort of brotli, of 11: smaller than gzip's and faster. The next one makes 2 percent less of a text and takes twice the memory, which a visitor
/// that does not read keeps occupied.
const BROTLI_LEVEL: u32 = 3;

/// Window of brotli as a power of two: 64 KiB. With it an encoder has 0.7 MiB at most, one of gzip 0.3.
const BROTLI_WINDOW: u32 = 16;

/// Buffer between brotli and its output.
const BROTLI_BUFFER: usize = 4 * 1024;

/// Bytes compressed at once: other connections of the shard wait meanwhile, for about a millisecond.
const STEP: usize = 32 * 1024;

/// A body on its way through an encoder.
pub(super) struct Compressed {
    inner: ResponseBody,
    encoding: Encoding,
    /// From upstream, not compressed yet.
    plain: Bytes,
    trailers: Option<HeaderMap>,
}

/// How far the encoding is. An encoder occupies hundreds of kilobytes: there is one between the first byte and the last.
enum Encoding {
    NotBegun(Algorithm),
    UnderWay(Encoder),
    Finished,
}

impl Encoding {
    /// The encoder; made when it is needed for the first time.
    fn begin(&mut self) -> Option<&mut Encoder> {
        if let Encoding::NotBegun(algorithm) = *self {
            *self = Encoding::UnderWay(Encoder::new(algorithm));
        }
        match self {
            Encoding::UnderWay(encoder) => Some(encoder),
            Encoding::NotBegun(_) | Encoding::Finished => None,
        }
    }
}

impl Compressed {
    pub(super) fn new(inner: ResponseBody, algorithm: Algorithm) -> Compressed {
        Compressed { inner, encoding: Encoding::NotBegun(algorithm), plain: Bytes::new(), trailers: None }
    }

    /// What is compressed.
    pub(super) fn inner(&mut self) -> &mut ResponseBody {
        &mut self.inner
    }

    /// Whether nothing more comes.
    pub(super) fn is_end(&self) -> bool {
        matches!(self.encoding, Encoding::Finished) && self.trailers.is_none()
    }

    /// The next frame. Whenever the upstream pauses, everything it said so far goes out: an event of a stream of events is not kept back
    /// until there are enough of them.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        loop {
            if matches!(self.encoding, Encoding::Finished) {
                return Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
            }
            if !self.plain.is_empty()
                && let Some(encoder) = self.encoding.begin()
            {
                encoder.write(&self.plain.split_to(self.plain.len().min(STEP)));
                match encoder.take() {
                    Some(out) => return Poll::Ready(Some(Ok(Frame::data(out)))),
                    None => continue,
                }
            }
            match Pin::new(&mut self.inner).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.plain = data,
                    Err(frame) => {
                        self.trailers = frame.into_trailers().ok();
                        return self.finish();
                    }
                },
                Poll::Ready(None) => return self.finish(),
                // The end of the encoding is not written: nobody takes the response for whole.
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Pending => {
                    let flushed = match &mut self.encoding {
                        Encoding::UnderWay(encoder) => encoder.flush(),
                        Encoding::NotBegun(_) | Encoding::Finished => None,
                    };
                    return match flushed {
                        Some(out) => Poll::Ready(Some(Ok(Frame::data(out)))),
                        None => Poll::Pending,
                    };
                }
            }
        }
    }

    fn finish(&mut self) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.encoding.begin();
        let last = match std::mem::replace(&mut self.encoding, Encoding::Finished) {
            Encoding::UnderWay(encoder) => Some(encoder.finish()).filter(|last| !last.is_empty()),
            Encoding::NotBegun(_) | Encoding::Finished => None,
        };
        let last = last.map(Frame::data).or_else(|| self.trailers.take().map(Frame::trailers));
        Poll::Ready(last.map(Ok))
    }
}

impl fmt::Debug for Compressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressed").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// An encoder that writes to memory, where nothing can go wrong.
struct Encoder {
    kind: Kind,
    /// Something was written since the last flush.
    dirty: bool,
}

enum Kind {
    Gzip(GzEncoder<Writer<BytesMut>>),
    Deflate(ZlibEncoder<Writer<BytesMut>>),
    Brotli(Box<CompressorWriter<Writer<BytesMut>>>),
}

impl Encoder {
    fn new(algorithm: Algorithm) -> Encoder {
        let out = BytesMut::new().writer();
        let kind = match algorithm {
            Algorithm::Gzip => Kind::Gzip(GzEncoder::new(out, Level::new(DEFLATE_LEVEL))),
            Algorithm::Deflate => Kind::Deflate(ZlibEncoder::new(out, Level::new(DEFLATE_LEVEL))),
            Algorithm::Brotli => {
                Kind::Brotli(Box::new(CompressorWriter::new(out, BROTLI_BUFFER, BROTLI_LEVEL, BROTLI_WINDOW)))
            }
        };
        Encoder { kind, dirty: false }
    }

    fn writer(&mut self) -> &mut dyn Write {
        match &mut self.kind {
            Kind::Gzip(encoder) => encoder,
            Kind::Deflate(encoder) => encoder,
            Kind::Brotli(encoder) => encoder,
        }
    }

    fn write(&mut self, plain: &[u8]) {
        in_memory(self.writer().write_all(plain));
        self.dirty = true;
    }

    /// What came out so far, when something did.
    fn take(&mut self) -> Option<Bytes> {
        let out = match &mut self.kind {
            Kind::Gzip(encoder) => encoder.get_mut(),
            Kind::Deflate(encoder) => encoder.get_mut(),
            Kind::Brotli(encoder) => encoder.get_mut(),
        };
        let out = out.get_mut().split();
        if out.is_empty() { None } else { Some(out.freeze()) }
    }

    /// Everything that was written, so that the far side can decode it.
    fn flush(&mut self) -> Option<Bytes> {
        if !std::mem::take(&mut self.dirty) {
            return None;
        }
        in_memory(self.writer().flush());
        self.take()
    }

    fn finish(self) -> Bytes {
        let out = match self.kind {
            Kind::Gzip(encoder) => encoder.finish(),
            Kind::Deflate(encoder) => encoder.finish(),
            Kind::Brotli(encoder) => Ok(encoder.into_inner()),
        };
        out.map(|out| out.into_inner().freeze()).unwrap_or_default()
    }
}

/// Memory takes every byte.
fn in_memory(result: io::Result<()>) {
    debug_assert!(result.is_ok(), "{result:?}");
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn decoded(algorithm: Algorithm, bytes: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        match algorithm {
            Algorithm::Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).map(drop),
            Algorithm::Deflate => flate2::read::ZlibDecoder::new(bytes).read_to_end(&mut plain).map(drop),
            Algorithm::Brotli => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut plain).map(drop),
        }
        .expect("a whole encoding");
        plain
    }

    #[test]
    fn what_goes_in_comes_out_again() {
        let text: Vec<u8> = (0..200_000_u32).flat_map(|number| (number % 977).to_string().into_bytes()).collect();
        for algorithm in [Algorithm::Gzip, Algorithm::Deflate, Algorithm::Brotli] {
            let (mut encoder, mut out) = (Encoder::new(algorithm), Vec::new());
            for (at, part) in text.chunks(10_007).enumerate() {
                encoder.write(part);
                out.extend(encoder.take().unwrap_or_default());
                if at % 3 == 0 {
                    let flushed = encoder.flush().expect("something to flush");
                    assert!(!flushed.is_empty() && encoder.flush().is_none());
                    out.extend(flushed);
                }
            }
            out.extend(encoder.finish());
            assert!(out.len() < text.len() / 3, "{algorithm:?}: {}", out.len());
            assert_eq!(decoded(algorithm, &out), text, "{algorithm:?}");
            assert_eq!(decoded(algorithm, &Encoder::new(algorithm).finish()), b"");
        }
    }
    #[test]
    fn no_encoder_is_made_before_there_is_something_to_encode() {
        let mut compressed = Compressed::new(ResponseBody::full(Bytes::from_static(b"hello")), Algorithm::Brotli);
        assert!(matches!(compressed.encoding, Encoding::NotBegun(_)));
        let mut out = Vec::new();
        while let Poll::Ready(Some(frame)) = compressed.poll_frame(&mut Context::from_waker(std::task::Waker::noop())) {
            out.extend_from_slice(&frame.expect("no fault").into_data().expect("data"));
        }
        assert!(compressed.is_end());
        assert_eq!(decoded(Algorithm::Brotli, &out), b"hello");
    }
}
