//! The files that a path, a folder or a pattern means.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::error::{Error, Result};

/// Endings of files that hold rows, in front of `.gz` and `.zst`.
const ENDINGS: [&str; 9] = ["jsonl", "ndjson", "json", "csv", "tsv", "parquet", "arrow", "arrows", "feather"];

/// The files that a path means, in the order of their names.
///
/// A file means itself. A folder means the files in it (not in folders below) whose names say that they hold rows:
/// `.jsonl`, `.ndjson`, `.json`, `.csv`, `.tsv`, the first five also with `.gz` or `.zst`, `.parquet`, `.arrow`,
/// `.arrows` and `.feather`; hidden ones are left out. A path that does not exist is a pattern, in which `*` and `?`
/// stand for characters, `[ab]` for one of them, and `**` for any folders.
///
/// # Errors
/// [`Error::NoFiles`] if it means none, [`Error::Open`] if the system does not say.
///
/// # Example
/// ```
/// use accordant_data::container::files;
/// let folder = tempfile::tempdir()?;
/// for name in ["b.jsonl", "a.jsonl.gz", "README.md"] {
///     std::fs::write(folder.path().join(name), "")?;
/// }
/// let names: Vec<_> = files(folder.path())?.iter().map(|path| path.file_name().unwrap().to_owned()).collect();
/// assert_eq!(names, ["a.jsonl.gz", "b.jsonl"]);
/// assert_eq!(files(folder.path().join("*.jsonl"))?.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn files(path: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
    let path = path.as_ref();
    let cannot_open = |source| Error::Open { path: path.to_path_buf(), source };
    let mut found = match fs::metadata(path) {
        Ok(data) if data.is_dir() => {
            let entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(cannot_open)?;
            let paths = entries.into_iter().map(|entry| entry.path());
            paths.filter(|path| holds_rows(path) && path.is_file()).collect()
        }
        Ok(_) => return Ok(vec![path.to_path_buf()]),
        Err(error) => {
            let pattern = path.to_str().filter(|text| text.contains(['*', '?', '[']));
            let Some(pattern) = pattern else { return Err(cannot_open(error)) };
            let invalid = |error| cannot_open(io::Error::new(io::ErrorKind::InvalidInput, error));
            let paths = glob::glob(pattern).map_err(invalid)?;
            let paths = paths.collect::<std::result::Result<Vec<_>, _>>().map_err(|error| cannot_open(error.into()))?;
            paths.into_iter().filter(|path| path.is_file()).collect::<Vec<_>>()
        }
    };
    found.sort();
    if found.is_empty() { Err(Error::NoFiles { path: path.to_path_buf() }) } else { Ok(found) }
}

/// The name of a data set that a file holds: the file's name without its endings.
pub(crate) fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let name = unpacked(&name);
    let ending = Path::new(name).extension().map(|ending| ending.to_string_lossy().to_lowercase());
    let known = ending.filter(|ending| ENDINGS.contains(&&ending[..]));
    known.map_or(name, |ending| &name[..name.len() - ending.len() - 1]).to_owned()
}

/// What a file's name ends with, in front of `.gz` and `.zst`.
pub(crate) fn ending(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    Path::new(unpacked(&name)).extension().unwrap_or_default().to_string_lossy().into_owned()
}

fn unpacked(name: &str) -> &str {
    let cut = [".gz", ".zst", ".zstd"].into_iter().find_map(|ending| {
        let at = name.len().checked_sub(ending.len())?;
        name.get(at..)?.eq_ignore_ascii_case(ending).then(|| &name[..at])
    });
    cut.unwrap_or(name)
}

fn holds_rows(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    !hidden && ENDINGS.contains(&&ending(path)[..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_set_is_called_as_its_file_without_known_endings() {
        let cases = [
            ("d/a.jsonl", "a"),
            ("d/a.b.JSON.GZ", "a.b"),
            ("helpful-base.train.jsonl.gz", "helpful-base.train"),
            ("a.csv.zst", "a"),
            ("v1.5", "v1.5"),
            ("a", "a"),
            ("é.gz", "é"),
        ];
        for (path, name) in cases {
            assert_eq!(stem(Path::new(path)), name, "{path}");
        }
        assert_eq!(ending(Path::new("A.CSV.Gz")), "csv");
    }

    #[test]
    fn a_folder_gives_its_data_in_order_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.jsonl", "a.parquet", ".hidden.jsonl", "README.md", "c.csv.gz", "sums.sha256"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        fs::create_dir(folder.path().join("d.jsonl")).unwrap();
        fs::write(folder.path().join("d.jsonl/e.jsonl"), "").unwrap();
        let names = |path: PathBuf| -> Vec<String> {
            let relative = |path: &PathBuf| path.strip_prefix(folder.path()).unwrap().to_string_lossy().into_owned();
            files(path).unwrap().iter().map(relative).collect()
        };
        assert_eq!(names(folder.path().to_path_buf()), ["a.parquet", "b.jsonl", "c.csv.gz"]);
        assert_eq!(names(folder.path().join("**/*.jsonl")), [".hidden.jsonl", "b.jsonl", "d.jsonl/e.jsonl"]);
        assert_eq!(names(folder.path().join("README.md")), ["README.md"]);
    }

    #[test]
    fn what_means_no_file_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let message = |path: PathBuf| {
            let message = files(path).unwrap_err().to_string();
            message.replace(&folder.path().display().to_string(), "d")
        };
        assert_eq!(message(folder.path().to_path_buf()), "`d` holds or matches no file with rows");
        assert_eq!(message(folder.path().join("*.jsonl")), "`d/*.jsonl` holds or matches no file with rows");
        assert_eq!(message(folder.path().join("a.jsonl")), "cannot open `d/a.jsonl`");
        assert_eq!(message(folder.path().join("a[.jsonl")), "cannot open `d/a[.jsonl`");
    }
}
