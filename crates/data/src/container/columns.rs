//! Parquet, and Arrow's files and streams: rows of columns, a batch at a time.
//!
//! A row becomes the JSON that `arrow-json` writes for it, without the fields that are null; numbers that are not finite
//! stay what they are, as the tokens `NaN` and `Infinity`, so that the reader of the JSON finds them. Bytes are written
//! in hexadecimal digits. What cannot be decoded ends the file there, as a packed stream that is damaged does.

use std::{
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow_array::{
    Array, ArrowPrimitiveType, PrimitiveArray, RecordBatch,
    cast::AsArray,
    types::{Float32Type, Float64Type},
};
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_json::{
    Encoder, EncoderFactory, EncoderOptions,
    writer::{LineDelimited, NullableEncoder, WriterBuilder},
};
use arrow_schema::{ArrowError, DataType, FieldRef};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::RowSource;
use crate::{
    error::{Error, Result},
    lines::{Line, LineEnd},
    report::{Code, Reason},
};

/// Rows of a batch: with the texts of a long conversation each, some megabytes.
const BATCH_LEN: usize = 256;

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>;

/// Reads rows of columns.
pub(super) struct Columns {
    path: PathBuf,
    batches: Batches,
    /// The rows of the batch at hand, a line each.
    json: Vec<u8>,
    at: usize,
    number: usize,
    done: bool,
}

impl Columns {
    pub fn open(path: &Path, file: File, magic: &[u8]) -> Self {
        // A decoder that fails on the first bytes fails as on any others: as a row that is damaged.
        let opened = guarded(|| batches(file, magic));
        let batches = opened.unwrap_or_else(|error| Box::new(std::iter::once(Err(error))));
        Self { path: path.to_path_buf(), batches, json: Vec::new(), at: 0, number: 0, done: false }
    }

    /// Reads batches until there is a row; false at the end.
    fn refill(&mut self) -> Result<bool, ArrowError> {
        while self.at == self.json.len() {
            let Some(batch) = guarded(|| self.batches.next().transpose())? else { return Ok(false) };
            // Rows of nothing take no byte: a damaged count of them would keep a reader busy for ever.
            if batch.columns().iter().all(|column| column.data_type().is_null()) {
                return Err(ArrowError::SchemaError("no column holds a value".into()));
            }
            self.at = 0;
            self.json.clear();
            guarded(|| {
                let builder = WriterBuilder::new().with_encoder_factory(Arc::new(Floats));
                let mut writer = builder.build::<_, LineDelimited>(&mut self.json);
                writer.write(&batch)?;
                writer.finish()
            })?;
        }
        Ok(true)
    }
}

impl RowSource for Columns {
    fn next_line(&mut self) -> Result<Option<Line<'_>>> {
        if self.done {
            return Ok(None);
        }
        match self.refill() {
            Ok(true) => {
                self.number += 1;
                let rest = &self.json[self.at..];
                let len = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                let bytes = &rest[..len];
                self.at += rest.len().min(len + 1);
                Ok(Some(Line { number: self.number, offset: 0, bytes, end: LineEnd::Newline }))
            }
            Ok(false) => {
                self.done = true;
                Ok(None)
            }
            Err(ArrowError::IoError(_, source)) if !super::bytes::is_damage(&source) => {
                self.done = true;
                Err(Error::Read { path: self.path.clone(), line: self.number + 1, source })
            }
            Err(error) => {
                self.done = true;
                let reason = Reason::new(Code::Truncated, format!("the columns are damaged here: {error}"));
                Ok(Some(Line { number: self.number + 1, offset: 0, bytes: b"", end: LineEnd::Bad(reason) }))
            }
        }
    }
}

fn batches(mut file: File, magic: &[u8]) -> Result<Batches, ArrowError> {
    file.rewind()?;
    Ok(match magic {
        [b'P', ..] => Box::new(ParquetRecordBatchReaderBuilder::try_new(file)?.with_batch_size(BATCH_LEN).build()?),
        [b'A', ..] => {
            check_blocks(&mut file)?;
            Box::new(sliced(FileReader::try_new(BufReader::new(file), None)?))
        }
        _ => Box::new(sliced(StreamReader::try_new(BufReader::new(file), None)?)),
    })
}

/// Checks that the blocks which the end of an Arrow file names lie inside of it: the decoder would take memory for
/// whatever length a damaged file claims.
fn check_blocks(file: &mut File) -> Result<(), ArrowError> {
    const MAGIC_LEN: usize = 6;
    let damaged = |what: &str| ArrowError::ParseError(format!("{what} of the file's end"));
    let len = file.seek(SeekFrom::End(0))?;
    let mut tail = [0; 4 + MAGIC_LEN];
    let tail_start = len.checked_sub(tail.len() as u64).ok_or_else(|| damaged("no trace"))?;
    file.seek(SeekFrom::Start(tail_start))?;
    file.read_exact(&mut tail)?;
    let footer_len = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
    let footer_start = tail_start.checked_sub(footer_len).ok_or_else(|| damaged("a wrong length"))?;
    file.seek(SeekFrom::Start(footer_start))?;
    let mut footer = Vec::new();
    file.take(footer_len).read_to_end(&mut footer)?;
    let footer = arrow_ipc::root_as_footer(&footer).map_err(|_| damaged("a damaged table"))?;
    let blocks = footer.recordBatches().into_iter().chain(footer.dictionaries()).flatten();
    for block in blocks {
        let [start, head, body] =
            [block.offset(), i64::from(block.metaDataLength()), block.bodyLength()].map(u64::try_from);
        let end = start.ok().and_then(|start| start.checked_add(head.ok()?)?.checked_add(body.ok()?));
        if end.is_none_or(|end| end > len) {
            return Err(damaged("a block outside"));
        }
    }
    file.rewind()?;
    Ok(())
}

/// Batches as short as Parquet's.
fn sliced(
    batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> {
    batches.flat_map(|batch| {
        let rows = batch.as_ref().map_or(1, RecordBatch::num_rows);
        (0..rows).step_by(BATCH_LEN).map(move |at| match &batch {
            Ok(batch) => Ok(batch.slice(at, BATCH_LEN.min(rows - at))),
            Err(error) => Err(ArrowError::ParseError(error.to_string())),
        })
    })
}

/// The decoders are other people's, and a panic of theirs on a damaged file is damage, not a reason to go down.
fn guarded<T>(run: impl FnOnce() -> Result<T, ArrowError>) -> Result<T, ArrowError> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err(ArrowError::ParseError("the decoder gave up".into())))
}

/// Writes numbers as `arrow-json` does, but those that are not finite as what they are.
#[derive(Debug)]
struct Floats;

impl EncoderFactory for Floats {
    fn make_default_encoder<'a>(
        &self,
        _: &'a FieldRef,
        array: &'a dyn Array,
        _: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let encoder: Box<dyn Encoder + 'a> = match array.data_type() {
            DataType::Float32 => Box::new(FloatEncoder(array.as_primitive::<Float32Type>())),
            DataType::Float64 => Box::new(FloatEncoder(array.as_primitive::<Float64Type>())),
            _ => return Ok(None),
        };
        Ok(Some(NullableEncoder::new(encoder, array.nulls().cloned())))
    }
}

struct FloatEncoder<'a, T: ArrowPrimitiveType>(&'a PrimitiveArray<T>);

impl<T: ArrowPrimitiveType<Native: Float>> Encoder for FloatEncoder<'_, T> {
    fn encode(&mut self, idx: usize, out: &mut Vec<u8>) {
        self.0.value(idx).write(out);
    }
}

trait Float: Copy {
    fn write(self, out: &mut Vec<u8>);
}

macro_rules! floats {
    ($($name:ty)*) => { $(
        impl Float for $name {
            fn write(self, out: &mut Vec<u8>) {
                if self.is_finite() {
                    // Writing to memory does not fail, and any finite number is JSON.
                    let _ = serde_json::to_writer(out, &self);
                } else {
                    let word: &[u8] = match self.is_nan() {
                        true => b"NaN",
                        false if self > 0.0 => b"Infinity",
                        false => b"-Infinity",
                    };
                    out.extend_from_slice(word);
                }
            }
        }
    )* };
}

floats! { f32 f64 }
