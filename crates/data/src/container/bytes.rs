//! The bytes of a file: unpacked, and as UTF-8.
//!
//! Gzip (RFC 1952) and Zstandard (RFC 8878) are told by their first bytes, whatever the file's name; their members and
//! frames are joined, and frames to be skipped are skipped. A Zstandard frame may ask for a window of 128 MiB at most,
//! the limit of its own tools: a hostile one gets no more memory than that.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8};
use flate2::read::MultiGzDecoder;
use ruzstd::decoding::FrameDecoder;

const BUFFER_LEN: usize = 64 * 1024;
/// As many bytes as it takes to tell what a file holds, white space in front included.
const HEAD_LEN: usize = 4096;
const GZIP_MAGIC: &[u8] = &[0x1F, 0x8B];
const ZSTD_MAGIC: u32 = 0xFD2F_B528;
/// Frames for other programs: any of the 16 numbers from here.
const SKIPPED_MAGIC: u32 = 0x184D_2A50;
const MAX_WINDOW: u64 = 128 << 20;

/// Bytes in UTF-8, as far as the file holds any.
pub(crate) struct Bytes {
    /// Whence they come.
    pub source: Box<dyn BufRead + Send>,
    /// Whether they were packed: then errors of the stream are damage to the file.
    pub packed: bool,
    /// The first of them.
    pub head: Vec<u8>,
}

impl Bytes {
    /// Over any reader. Errors come when the bytes they stand in front of have been read.
    pub fn over(reader: impl Read + Send + 'static, encoding: &'static Encoding) -> Self {
        let (magic, reader) = peek(reader, size_of_val(&ZSTD_MAGIC));
        let zstd = magic.first_chunk().is_some_and(|&magic| {
            let magic = u32::from_le_bytes(magic);
            magic == ZSTD_MAGIC || is_skipped(magic)
        });
        match (magic.starts_with(GZIP_MAGIC), zstd) {
            (true, _) => Self::decoded(MultiGzDecoder::new(reader), true, encoding),
            (_, true) => Self::decoded(Zstd::new(reader), true, encoding),
            _ => Self::decoded(reader, false, encoding),
        }
    }

    fn decoded(reader: impl Read + Send + 'static, packed: bool, encoding: &'static Encoding) -> Self {
        if encoding == UTF_8 {
            return Self::told(reader, packed);
        }
        Self::told(Transcoded::new(reader, encoding), packed)
    }

    fn told(reader: impl Read + Send + 'static, packed: bool) -> Self {
        let (head, reader) = peek(reader, HEAD_LEN);
        Self { source: Box::new(BufReader::with_capacity(BUFFER_LEN, reader)), packed, head }
    }
}

/// What a decoder reports about the stream, as opposed to what the system reports about the file.
pub(crate) fn is_damage(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | InvalidInput | InvalidData)
}

const fn is_skipped(magic: u32) -> bool {
    magic & !0xF == SKIPPED_MAGIC
}

/// The first bytes of a reader, `len` where it has as many, and a reader that gives them again.
fn peek<R: Read>(mut reader: R, len: usize) -> (Vec<u8>, Replay<R>) {
    let mut head = Vec::with_capacity(len);
    let failed = reader.by_ref().take(len as u64).read_to_end(&mut head).err();
    (head.clone(), Replay { head: Cursor::new(head), failed, rest: reader })
}

/// Bytes that were read before, the error that ended that, and the rest.
struct Replay<R> {
    head: Cursor<Vec<u8>>,
    failed: Option<io::Error>,
    rest: R,
}

impl<R: Read> Read for Replay<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.head.read(buffer)? {
            0 if let Some(error) = self.failed.take() => Err(error),
            0 => self.rest.read(buffer),
            len => Ok(len),
        }
    }
}

/// A reader that remembers how it ended, since a decoder wraps that beyond recognition.
struct Watched<R> {
    reader: R,
    ended: bool,
    failed: Option<io::Error>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.reader.read(buffer) {
            Ok(len) => {
                self.ended |= len == 0 && !buffer.is_empty();
                Ok(len)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let kind = error.kind();
                self.failed = Some(error);
                Err(kind.into())
            }
        }
    }
}

/// The frames of a Zstandard stream, joined.
struct Zstd<R> {
    source: Watched<BufReader<R>>,
    decoder: FrameDecoder,
    in_frame: bool,
}

impl<R: Read> Zstd<R> {
    fn new(reader: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(MAX_WINDOW);
        let source = Watched { reader: BufReader::with_capacity(BUFFER_LEN, reader), ended: false, failed: None };
        Self { source, decoder, in_frame: false }
    }

    /// Goes to the next frame with content; false at the end of the stream.
    fn next_frame(&mut self) -> Result<bool, String> {
        loop {
            let mut magic = Vec::new();
            let read = self.source.by_ref().take(4).read_to_end(&mut magic);
            read.map_err(|error| error.to_string())?;
            let Some(&first) = magic.first_chunk() else {
                return if magic.is_empty() { Ok(false) } else { Err("the beginning of a frame".into()) };
            };
            match u32::from_le_bytes(first) {
                ZSTD_MAGIC => {
                    let frame = Cursor::new(magic).chain(&mut self.source);
                    self.decoder.reset(frame).map_err(|error| error.to_string())?;
                    self.in_frame = true;
                    return Ok(true);
                }
                number if is_skipped(number) => {
                    let mut len = [0; 4];
                    self.source.read_exact(&mut len).map_err(|error| error.to_string())?;
                    let len = u64::from(u32::from_le_bytes(len));
                    let skipped = io::copy(&mut self.source.by_ref().take(len), &mut io::sink());
                    if skipped.map_err(|error| error.to_string())? < len {
                        return Err("the end of a frame".into());
                    }
                }
                number => return Err(format!("{number:#010x} begins no frame")),
            }
        }
    }

    fn read_frames(&mut self, buffer: &mut [u8]) -> Result<usize, String> {
        use ruzstd::decoding::BlockDecodingStrategy::UptoBlocks;
        loop {
            if !self.in_frame && !self.next_frame()? {
                return Ok(0);
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                self.decoder.decode_blocks(&mut self.source, UptoBlocks(1)).map_err(|error| error.to_string())?;
            }
            match self.decoder.read(buffer).map_err(|error| error.to_string())? {
                0 => {
                    let (said, is) = (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum());
                    if said.is_some() && said != is {
                        return Err("the checksum does not match".into());
                    }
                    self.in_frame = false;
                }
                len => return Ok(len),
            }
        }
    }
}

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.read_frames(buffer).map_err(|message| match self.source.failed.take() {
            Some(error) => error,
            None if self.source.ended => io::Error::new(io::ErrorKind::UnexpectedEof, message),
            None => io::Error::new(io::ErrorKind::InvalidData, message),
        })
    }
}

/// Text of another encoding as UTF-8. What is no text there becomes the byte 0xFF, which is none in UTF-8 either.
struct Transcoded<R> {
    reader: BufReader<R>,
    decoder: Decoder,
    out: Vec<u8>,
    at: usize,
    done: bool,
}

impl<R: Read> Transcoded<R> {
    fn new(reader: R, encoding: &'static Encoding) -> Self {
        let reader = BufReader::with_capacity(BUFFER_LEN, reader);
        Self { reader, decoder: encoding.new_decoder_without_bom_handling(), out: Vec::new(), at: 0, done: false }
    }

    fn refill(&mut self) -> io::Result<()> {
        self.out.resize(BUFFER_LEN, 0);
        self.at = 0;
        let input = self.reader.fill_buf()?;
        let last = input.is_empty();
        let (result, read, mut written) =
            self.decoder.decode_to_utf8_without_replacement(input, &mut self.out[..BUFFER_LEN - 1], last);
        match result {
            DecoderResult::Malformed(..) => {
                self.out[written] = 0xFF;
                written += 1;
            }
            DecoderResult::InputEmpty => self.done = last,
            DecoderResult::OutputFull => {}
        }
        self.out.truncate(written);
        self.reader.consume(read);
        Ok(())
    }
}

impl<R: Read> Read for Transcoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.out.len() && !self.done {
            self.refill()?;
        }
        let len = self.out.len().saturating_sub(self.at).min(buffer.len());
        buffer[..len].copy_from_slice(&self.out[self.at..self.at + len]);
        self.at += len;
        Ok(len)
    }
}
