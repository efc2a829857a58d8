//! Writes records: lines, an array or columns, plain or packed, all or nothing.
//!
//! A file is written beside its place under a passing name, flushed to the disk and renamed: whoever looks, and whenever
//! the writer is stopped, finds the old file or the new one. What cannot be written, such as a record that does not hold
//! together or a full disk, leaves the old one.

#[cfg(feature = "arrow")]
mod columns;
pub mod hash_ids;

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde::Serialize;

use crate::error::{Error, Result};

/// What a file holds records in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// One object a line.
    JsonLines,
    /// One array, an element a line.
    JsonArray,
    /// Columns, with the schema that the records show (feature `arrow`).
    Parquet,
    /// Columns in Arrow's file format, with the schema that the records show (feature `arrow`).
    Arrow,
}

/// How a file is packed. Parquet and Arrow pack their columns themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Packing {
    /// Not.
    Plain,
    /// Gzip, level 6.
    Gzip,
    /// Zstandard, about its level 1.
    Zstd,
}

impl Layout {
    /// What a file's name says: `.json` is an array; `.parquet`; `.arrow` and `.feather`; anything else has lines.
    pub fn of(path: impl AsRef<Path>) -> Self {
        match &crate::container::ending(path.as_ref())[..] {
            "json" => Self::JsonArray,
            "parquet" => Self::Parquet,
            "arrow" | "feather" => Self::Arrow,
            _ => Self::JsonLines,
        }
    }
}

impl Packing {
    /// What a file's name says: `.gz`, `.zst` or `.zstd`, or nothing.
    pub fn of(path: impl AsRef<Path>) -> Self {
        let ending = path.as_ref().extension().map(|ending| ending.to_string_lossy().to_lowercase());
        match ending.as_deref() {
            Some("gz") => Self::Gzip,
            Some("zst" | "zstd") => Self::Zstd,
            _ => Self::Plain,
        }
    }
}

/// Writes records into a file, in the layout and packing that its name says.
///
/// What is read from it is what was written; [`crate::load()`] reads all of it. Columns hold null for what a record does
/// not have, and have one type each: `meta` whose values differ in type from record to record, or a field that is text
/// in one and messages in another, fits lines only.
///
/// # Errors
/// [`Error::Write`] from the system; [`Error::Unwritable`] for a record that does not hold together or does not fit;
/// [`Error::NeedsFeature`] for columns without the feature `arrow`. The file is as it was before.
///
/// # Example
/// ```
/// use accordant_data::{LoadOptions, Pair, load_as, write::write};
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("pairs.jsonl.zst");
/// write(&path, [&Pair::new("The sky is", " blue.", " green.")?])?;
/// let (pairs, _) = load_as::<Pair>(&path, &LoadOptions::default())?;
/// assert_eq!(pairs[0].rejected.as_plain(), Some(" green."));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write<'a, T: Serialize + 'a>(path: impl AsRef<Path>, records: impl IntoIterator<Item = &'a T>) -> Result<()> {
    let path = path.as_ref();
    write_as(path, Layout::of(path), Packing::of(path), records)
}

/// [`write()`] with layout and packing said.
///
/// # Errors
/// Those of [`write()`].
pub fn write_as<'a, T: Serialize + 'a>(
    path: impl AsRef<Path>,
    layout: Layout,
    packing: Packing,
    records: impl IntoIterator<Item = &'a T>,
) -> Result<()> {
    let path = path.as_ref();
    if matches!(layout, Layout::Parquet | Layout::Arrow) {
        return write_columns(path, layout, records);
    }
    write_file(path, |file| {
        let mut out: Box<dyn Packed> = match packing {
            Packing::Plain => Box::new(Plain(BufWriter::with_capacity(1 << 16, file))),
            Packing::Gzip => Box::new(GzEncoder::new(BufWriter::with_capacity(1 << 16, file), Compression::new(6))),
            Packing::Zstd => Box::new(Zstd { inner: file, buffer: Vec::new() }),
        };
        let (open, between, close) = match layout {
            Layout::JsonArray => ("[", ",\n", "]\n"),
            _ => ("", "\n", "\n"),
        };
        out.write_all(open.as_bytes())?;
        let mut none = true;
        for (record_index, record) in records.into_iter().enumerate() {
            if !none {
                out.write_all(between.as_bytes())?;
            }
            none = false;
            write_json(path, record_index, record, &mut out)?;
        }
        // A file of lines without a record is empty, and so is no line.
        if !none || layout == Layout::JsonArray {
            out.write_all(close.as_bytes())?;
        }
        Ok(out.finish()?)
    })
}

/// One record as JSON.
fn write_json(path: &Path, record_index: usize, record: &impl Serialize, out: &mut impl Write) -> Result<(), Failed> {
    serde_json::to_writer(out, record).map_err(|error| match error.io_error_kind() {
        Some(_) => Failed::System(error.into()),
        None => unwritable(path, record_index, &error).into(),
    })
}

fn unwritable(path: &Path, record_index: usize, reason: &impl ToString) -> Error {
    Error::Unwritable { path: path.to_path_buf(), record_index, reason: reason.to_string() }
}

#[cfg(feature = "arrow")]
fn write_columns<'a, T: Serialize + 'a>(
    path: &Path,
    layout: Layout,
    records: impl IntoIterator<Item = &'a T>,
) -> Result<()> {
    columns::write(path, layout, records)
}

#[cfg(not(feature = "arrow"))]
fn write_columns<'a, T: Serialize + 'a>(path: &Path, _: Layout, _: impl IntoIterator<Item = &'a T>) -> Result<()> {
    Err(Error::NeedsFeature { path: path.to_path_buf(), feature: "arrow" })
}

/// What stopped a write: the system, whose error does not know the file, or anything else.
#[derive(Debug)]
pub enum Failed {
    /// The system.
    System(io::Error),
    /// Anything else.
    Other(Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// Writes a file all or nothing: `fill` writes under a passing name beside it, which takes the file's place once all of
/// it is on the disk. Permissions of a file that was there before are kept.
///
/// # Errors
/// [`Error::Write`] from the system, and what `fill` says. The file is as it was before.
///
/// # Example
/// ```
/// use accordant_data::write::write_file;
/// use std::io::Write;
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("notes.txt");
/// write_file(&path, |file| Ok(file.write_all(b"first")?))?;
/// let stopped = write_file(&path, |file| {
///     file.write_all(b"sec")?;
///     Err(std::io::Error::other("no space").into())
/// });
/// assert!(stopped.is_err());
/// assert_eq!(std::fs::read_to_string(&path)?, "first");
/// assert_eq!(std::fs::read_dir(folder.path())?.count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_file(path: impl AsRef<Path>, fill: impl FnOnce(&mut File) -> Result<(), Failed>) -> Result<()> {
    let path = path.as_ref();
    try_write(path, fill).map_err(|failed| match failed {
        Failed::System(source) => Error::Write { path: path.to_path_buf(), source },
        Failed::Other(error) => error,
    })
}

fn try_write(path: &Path, fill: impl FnOnce(&mut File) -> Result<(), Failed>) -> Result<(), Failed> {
    let place = real_place(path)?;
    let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".").suffix(".partial");
    #[cfg(unix)]
    {
        // As for any new file: the system takes from it what the user's mask says.
        use std::{fs::Permissions, os::unix::fs::PermissionsExt};
        builder.permissions(Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder)?;
    fill(file.as_file_mut())?;
    if let Ok(data) = std::fs::metadata(&place) {
        file.as_file().set_permissions(data.permissions())?;
    }
    file.as_file().sync_all()?;
    file.persist(&place).map_err(|error| error.error)?;
    // The new name is on the disk once the folder is; not every system can say so of a folder.
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}

/// Where a file really is, so that a link stays one.
fn real_place(path: &Path) -> io::Result<PathBuf> {
    match std::fs::symlink_metadata(path) {
        Ok(data) if data.is_symlink() => std::fs::canonicalize(path),
        _ => Ok(path.to_path_buf()),
    }
}

/// A writer with an end.
trait Packed: Write {
    fn finish(self: Box<Self>) -> io::Result<()>;
}

struct Plain<W: Write>(BufWriter<W>);

impl<W: Write> Write for Plain<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<W: Write> Packed for Plain<W> {
    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.flush()
    }
}

impl<W: Write> Packed for GzEncoder<BufWriter<W>> {
    fn finish(self: Box<Self>) -> io::Result<()> {
        GzEncoder::finish(*self)?.flush()
    }
}

/// Packs frames of 4 MiB, each by itself: the encoder takes a frame as a whole.
struct Zstd<W> {
    inner: W,
    buffer: Vec<u8>,
}

impl<W: Write> Zstd<W> {
    const FRAME_LEN: usize = 4 << 20;

    fn write_frame(&mut self) -> io::Result<()> {
        let frame = compress_to_vec(&self.buffer[..], CompressionLevel::Fastest);
        self.buffer.clear();
        self.inner.write_all(&frame)
    }
}

impl<W: Write> Write for Zstd<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = bytes.len().min(Self::FRAME_LEN - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..len]);
        if self.buffer.len() == Self::FRAME_LEN {
            self.write_frame()?;
        }
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W: Write> Packed for Zstd<W> {
    fn finish(mut self: Box<Self>) -> io::Result<()> {
        // An empty file is one frame without content.
        self.write_frame()?;
        self.inner.flush()
    }
}
