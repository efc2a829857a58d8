//! Files that are there whole or not at all.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use crate::{Error, Result};

fn failed(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Write { path, source }
}

/// Writes a file in one go: a reader finds the old content or the new, never a part.
///
/// # Errors
/// [`Error::Write`] naming `path`.
pub fn write_whole(path: &Path, content: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        let mut builder = tempfile::Builder::new();
        // Temporary files are their owner's alone; what is written here is for everyone whom the umask allows.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(folder)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(failed(path))
}

/// Makes a folder, with those above it, and checks that files can be written in it.
///
/// # Errors
/// [`Error::Write`] naming `path`.
pub fn writable_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).and_then(|()| NamedTempFile::new_in(path).map(drop)).map_err(failed(path))
}

/// A file of JSON lines that grows under the name `….partial` and takes its own name when it is complete.
#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
    partial: PathBuf,
    out: BufWriter<File>,
}

impl JsonLines {
    /// Starts a file.
    ///
    /// # Errors
    /// [`Error::Write`] naming the partial file.
    pub fn create(path: &Path) -> Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push(".partial");
        let partial = PathBuf::from(name);
        let out = BufWriter::new(File::create(&partial).map_err(failed(&partial))?);
        Ok(Self { path: path.to_owned(), partial, out })
    }

    /// Adds a line.
    ///
    /// # Errors
    /// [`Error::Write`] naming the partial file.
    pub fn push(&mut self, line: &serde_json::Value) -> Result<()> {
        writeln!(self.out, "{line}").and_then(|()| self.out.flush()).map_err(failed(&self.partial))
    }

    /// Gives the file its own name.
    ///
    /// # Errors
    /// [`Error::Write`] naming the file.
    pub fn finish(self) -> Result<()> {
        let file = self.out.into_inner().map_err(|error| failed(&self.partial)(error.into_error()))?;
        file.sync_all().and_then(|()| fs::rename(&self.partial, &self.path)).map_err(failed(&self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_has_its_name_only_when_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut log = JsonLines::create(&path).unwrap();
        log.push(&serde_json::json!({"step": 0})).unwrap();
        assert!(!path.exists() && folder.path().join("metrics.jsonl.partial").exists());
        log.finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"step\":0}\n");
        assert!(!folder.path().join("metrics.jsonl.partial").exists());
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.svg");
        write_whole(&path, b"old").unwrap();
        write_whole(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_folder_that_cannot_be_is_an_error_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = writable_folder(&file.join("out")).unwrap_err().to_string();
        assert!(error.starts_with("cannot write `") && error.ends_with("out`"), "{error}");
        assert!(write_whole(&file.join("out"), b"").is_err());
        assert!(JsonLines::create(&file.join("out")).is_err());
    }
}
