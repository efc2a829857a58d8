//! Tokenized records in a file, and a fingerprint that keeps a stale one from being used.
//!
//! The file's first line says how its records were made; then comes one JSON record a line. A file that was made with
//! another tokenizer, template, option or data set has another fingerprint and is an error, not a surprise. It is written
//! beside its place and moved there when it is whole.

use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, Write},
    path::Path,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::{Error, Result};

const FORMAT: &str = "accordant-tokens-1";

#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    fingerprint: String,
    records: usize,
}

/// SHA-256, in hexadecimal, over named parts: the encoder's fingerprint, the data's, for log-probabilities the model's
/// and the number type's.
///
/// # Example
/// ```
/// use accordant_data::cache::fingerprint;
/// assert_eq!(fingerprint(&[("data", "ab"), ("encoder", "c")]), fingerprint(&[("data", "ab"), ("encoder", "c")]));
/// assert_ne!(fingerprint(&[("data", "ab"), ("encoder", "c")]), fingerprint(&[("data", "a"), ("encoder", "bc")]));
/// assert_eq!(fingerprint(&[]).len(), 64);
/// ```
pub fn fingerprint(parts: &[(&str, &str)]) -> String {
    let mut hasher = Sha256::new();
    for text in parts.iter().flat_map(|(name, value)| [name, value]) {
        // Lengths keep ("ab", "c") and ("a", "bc") apart.
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes records under a fingerprint.
///
/// # Errors
/// [`Error::Cache`] as the system or the records' writer reports it; the file is then as it was.
pub fn write<T: Serialize>(path: impl AsRef<Path>, fingerprint: &str, records: &[T]) -> Result<()> {
    let path = path.as_ref();
    let fail = |error: &dyn std::fmt::Display| Error::Cache { path: path.to_owned(), message: error.to_string() };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = tempfile::NamedTempFile::new_in(folder).map_err(|error| fail(&error))?;
    let mut out = BufWriter::new(file);
    let header = Header { format: FORMAT.into(), fingerprint: fingerprint.into(), records: records.len() };
    let mut line = |value: serde_json::Result<String>| {
        let value = value.map_err(|error| fail(&error))?;
        writeln!(out, "{value}").map_err(|error| fail(&error))
    };
    line(serde_json::to_string(&header))?;
    records.iter().try_for_each(|record| line(serde_json::to_string(record)))?;
    let file = out.into_inner().map_err(|error| fail(error.error()))?;
    file.as_file().sync_all().map_err(|error| fail(&error))?;
    file.persist(path).map_err(|error| fail(&error))?;
    Ok(())
}

/// Reads records that were written under this fingerprint.
///
/// # Errors
/// [`Error::Open`] from the system; [`Error::CacheStale`] for another fingerprint; [`Error::Cache`] for a file that is no
/// cache, breaks off, or holds something else.
///
/// # Example
/// ```
/// use accordant_data::{cache, rows::TokenRow};
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("rows.jsonl");
/// cache::write(&path, "made so", &[TokenRow::of(&[1], &[2])])?;
/// assert_eq!(cache::read::<TokenRow>(&path, "made so")?[0].ids, [1, 2]);
/// let stale = cache::read::<TokenRow>(&path, "made otherwise").unwrap_err().to_string();
/// assert!(stale.starts_with("E_CACHE_STALE"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read<T: DeserializeOwned>(path: impl AsRef<Path>, fingerprint: &str) -> Result<Vec<T>> {
    let path = path.as_ref();
    let fail = |message: String| Error::Cache { path: path.to_owned(), message };
    let file = File::open(path).map_err(|source| Error::Open { path: path.to_owned(), source })?;
    let mut lines = BufReader::new(file).lines();
    let mut next = || lines.next().transpose().map_err(|error| fail(error.to_string()));
    let header: Option<Header> = next()?.and_then(|line| serde_json::from_str(&line).ok());
    let Some(header) = header.filter(|header| header.format == FORMAT) else {
        return Err(fail(format!("line 1: expected the header of `{FORMAT}`")));
    };
    if header.fingerprint != fingerprint {
        let (found, expected) = (header.fingerprint, fingerprint.to_owned());
        return Err(Error::CacheStale { path: path.to_owned(), found, expected });
    }
    let mut records = Vec::new();
    while let Some(line) = next()? {
        let number = records.len() + 2;
        records.push(serde_json::from_str(&line).map_err(|error| fail(format!("line {number}: {error}")))?);
    }
    if records.len() != header.records {
        return Err(fail(format!("expected {} records, found {}", header.records, records.len())));
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::TokenRow;

    #[test]
    fn d26_a_cache_made_in_another_way_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache");
        let rows = [TokenRow::of(&[1], &[2, 3]), TokenRow::of(&[], &[4])];
        write(&path, "a", &rows).unwrap();
        assert_eq!(read::<TokenRow>(&path, "a").unwrap(), rows);
        match read::<TokenRow>(&path, "b").unwrap_err() {
            Error::CacheStale { found, expected, .. } => assert_eq!((&found[..], &expected[..]), ("a", "b")),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn damaged_files_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache");
        write(&path, "a", &[TokenRow::of(&[1], &[2]), TokenRow::of(&[3], &[4])]).unwrap();
        let whole = std::fs::read_to_string(&path).unwrap();
        let error = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read::<TokenRow>(&path, "a").unwrap_err().to_string()
        };
        let two_lines: String = whole.split_inclusive('\n').take(2).collect();
        assert!(error(&two_lines).ends_with("expected 2 records, found 1"));
        assert!(error(&whole[..whole.len() - 4]).contains("line 3: "));
        assert!(error("").contains("line 1: expected the header"));
        assert!(error(&whole.replace("tokens-1", "tokens-0")).contains("line 1: expected the header"));
        assert!(matches!(read::<TokenRow>(folder.path().join("none"), "a"), Err(Error::Open { .. })));
        assert!(matches!(write(folder.path().join("no/where"), "a", &[1]), Err(Error::Cache { .. })));
    }
}
