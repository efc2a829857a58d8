//! Loads records of any kind from a file, a folder or a pattern.
//!
//! [`load`] takes what it finds, [`load_as`] one kind; [`Records`] gives either one by one, in bounded memory. A record
//! that names no kind is told by its fields, each for itself. The file, the line and the row's number become the
//! record's provenance, where it has none, and `<source>:<record_index>` its id, where `source` is the name of the file
//! without its endings (with several files of one name: the path).

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    hash::{BuildHasher, DefaultHasher, Hasher, RandomState},
    io::{self, Write},
    marker::PhantomData,
    path::{Path, PathBuf},
    sync::Arc,
    vec,
};

use serde::Serialize;

use crate::{
    container::{files, stem},
    error::Result,
    parallel::{ParallelReader, ParallelRows},
    read::{Given, LoadOptions},
    record::{Envelope, Fields, Kind, Reading, Record, RecordType},
    report::{Code, LoadReport, Reason, Warning},
    row::Row,
    users::Users,
};

/// What can be loaded: [`Record`], and each kind by itself.
pub trait Loadable: Serialize + Sized + Send + 'static {
    /// Makes it of the fields of a row.
    ///
    /// # Errors
    /// Why the row is none.
    fn from_row(fields: Fields<'_>) -> std::result::Result<Self, Reason>;

    /// Its kind.
    fn kind(&self) -> Kind;

    /// What records of every kind share.
    fn shared(&mut self) -> &mut Envelope;
}

impl<T: RecordType> Loadable for T {
    fn from_row(fields: Fields<'_>) -> std::result::Result<Self, Reason> {
        T::from_fields(fields)
    }

    fn kind(&self) -> Kind {
        T::KIND
    }

    fn shared(&mut self) -> &mut Envelope {
        self.envelope_mut()
    }
}

impl Loadable for Record {
    fn from_row(fields: Fields<'_>) -> std::result::Result<Self, Reason> {
        Self::from_fields(fields)
    }

    fn kind(&self) -> Kind {
        Self::kind(self)
    }

    fn shared(&mut self) -> &mut Envelope {
        self.envelope_mut()
    }
}

/// Loads the records of a file, of a folder, or of all files that match a pattern.
///
/// The report is that of all files together. A record whose id was seen before, in any of them, is rejected with
/// [`Code::DupId`] if its content is another, and left out and counted under [`Warning::Dup`] if it is the same.
///
/// # Errors
/// [`crate::Error::NoFiles`]; those of [`crate::read::read_jsonl`] for each file.
///
/// # Example
/// ```
/// use accordant_data::{Kind, LoadOptions, Record, load::load};
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("a.jsonl"), r#"{"prompt": "q", "chosen": "yes", "rejected": "no"}"#)?;
/// std::fs::write(folder.path().join("b.json"), r#"[{"prompt": "q", "a": "x", "b": "y", "outcome": "tie"}]"#)?;
/// let (records, report) = load(folder.path(), &LoadOptions::default())?;
/// assert_eq!((records[0].kind(), records[1].kind(), report.used), (Kind::Pair, Kind::Comparison, 2));
/// assert_eq!(records[1].envelope().id, "b:0");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn load(path: impl AsRef<Path>, options: &LoadOptions) -> Result<(Vec<Record>, LoadReport)> {
    load_as(path, options)
}

/// [`load`] of records of one kind; a record of another is rejected.
///
/// # Errors
/// Those of [`load`].
pub fn load_as<T: Loadable>(path: impl AsRef<Path>, options: &LoadOptions) -> Result<(Vec<T>, LoadReport)> {
    let mut rows = Records::<T>::open(path, options)?;
    rows.ids = Some(Ids::new());
    let records = rows.by_ref().collect::<Result<Vec<_>>>()?;
    Ok((records, rows.into_report()))
}

/// [`load`] or [`load_as`] one record at a time, for data larger than memory. Ids are not compared, which would take
/// memory for each.
///
/// # Example
/// ```
/// use accordant_data::{LoadOptions, Pair, load::Records};
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("a.jsonl");
/// std::fs::write(&path, r#"{"prompt": "q", "chosen": "yes", "rejected": "no"}"#)?;
/// let mut pairs = Records::<Pair>::open(&path, &LoadOptions::default())?;
/// assert_eq!(pairs.next().unwrap()?.envelope.id, "a:0");
/// assert!(pairs.next().is_none());
/// assert_eq!(pairs.into_report().used, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Records<T: Loadable = Record> {
    files: vec::IntoIter<(PathBuf, String)>,
    options: LoadOptions,
    rows: Option<ParallelRows<Make<T>>>,
    ids: Option<Ids>,
    report: LoadReport,
    done: bool,
}

impl<T: Loadable> Records<T> {
    /// Opens a file, a folder, or all files that match a pattern.
    ///
    /// # Errors
    /// [`crate::Error::NoFiles`] and [`crate::Error::Open`], and [`crate::Error::Domain`] for the options.
    pub fn open(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Self> {
        options.validate()?;
        let files = named(files(path)?).into_iter();
        let (options, report) = (options.clone(), LoadReport::default());
        Ok(Self { files, options, rows: None, ids: None, report, done: false })
    }

    /// The counts of the files that are read, by value.
    pub fn into_report(mut self) -> LoadReport {
        self.close();
        self.report
    }

    fn close(&mut self) {
        if let Some(rows) = self.rows.take() {
            let (reader, report) = rows.into_parts();
            self.ids = reader.ids;
            self.report.merge(report);
        }
    }

    fn next_file(&mut self) -> Result<bool> {
        let Some((path, source)) = self.files.next() else { return Ok(false) };
        let (split, users) = (self.options.split.clone(), self.options.users.clone());
        let ids = self.ids.take();
        let reader = Make { source, split, users, mixed: self.options.mixed, first: None, ids, kind: PhantomData };
        self.rows = Some(ParallelRows::open(path, &self.options, reader)?);
        Ok(true)
    }
}

impl<T: Loadable> Iterator for Records<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        while !self.done {
            match self.rows.as_mut().and_then(Iterator::next) {
                Some(Ok(loaded)) => return Some(Ok(loaded.record)),
                Some(Err(error)) => {
                    self.done = true;
                    return Some(Err(error));
                }
                None => {
                    self.close();
                    match self.next_file() {
                        Ok(more) => self.done = !more,
                        Err(error) => {
                            self.done = true;
                            return Some(Err(error));
                        }
                    }
                }
            }
        }
        None
    }
}

/// Files with the names of the data sets they hold, each another.
fn named(files: Vec<PathBuf>) -> Vec<(PathBuf, String)> {
    let stems: Vec<_> = files.iter().map(|path| stem(path)).collect();
    let unique = stems.iter().collect::<HashSet<_>>().len() == stems.len();
    let name = |(path, stem): (PathBuf, String)| {
        let name = if unique { stem } else { path.to_string_lossy().into_owned() };
        (path, name)
    };
    files.into_iter().zip(stems).map(name).collect()
}

/// Makes records of one file.
struct Make<T> {
    source: String,
    split: Option<String>,
    users: Option<Arc<Users>>,
    mixed: bool,
    first: Option<Kind>,
    ids: Option<Ids>,
    kind: PhantomData<fn() -> T>,
}

/// A record, and what stands for its content if its id may occur again.
struct Loaded<T> {
    record: T,
    content: u128,
}

impl<T: Loadable> ParallelReader for Make<T> {
    type Record = Loaded<T>;

    fn make(&self, mut row: Row<'_>) -> std::result::Result<Given<Loaded<T>>, Reason> {
        let provenance = row.provenance(&self.source);
        let missing = self.users.as_ref().is_some_and(|users| {
            let id = row.fields.get("user_id").and_then(serde_json::Value::as_str);
            id.is_some_and(|id| users.get(id).is_none())
        });
        if missing {
            row.warn(Warning::UserMissing);
        }
        let mut record = T::from_row(row.fields)?;
        let mut content = 0;
        if let Some(ids) = &self.ids
            && !record.shared().id.is_empty()
        {
            let own = record.shared().provenance.take();
            content = ids.content(&record);
            record.shared().provenance = own;
        }
        let shared = record.shared();
        if shared.id.is_empty() {
            shared.id = format!("{}:{}", provenance.source, provenance.record_index);
        }
        if shared.split.is_none() {
            shared.split.clone_from(&self.split);
        }
        shared.provenance.get_or_insert(provenance);
        Ok(Given::Record(Loaded { record, content }))
    }

    fn settle(
        &mut self,
        given: Given<Loaded<T>>,
        notes: &mut Reading,
    ) -> std::result::Result<Given<Loaded<T>>, Reason> {
        let Given::Record(mut loaded) = given else { return Ok(given) };
        let kind = loaded.record.kind();
        if !self.mixed && *self.first.get_or_insert(kind) != kind {
            let first = self.first.map_or("", Kind::as_str);
            let message = format!("expected a `{first}` as the file's first record, found a `{kind}`");
            return Err(Reason::new(Code::KindMixed, message));
        }
        match self.ids.as_mut().map(|ids| ids.see(&loaded.record.shared().id, loaded.content)) {
            Some(Seen::Other) => {
                let message = "expected an id that no other record has; it was seen with other content";
                Err(Reason::field(Code::DupId, "id", message).with_excerpt(&loaded.record.shared().id))
            }
            Some(Seen::Same) => {
                notes.warn(Warning::Dup);
                Ok(Given::Records(Vec::new()))
            }
            Some(Seen::Never) | None => Ok(Given::Record(loaded)),
        }
    }
}

/// The ids that were seen, each with what stands for the record's content: 128 bits of a keyed hash, so that two
/// contents are taken for one in none of the data sets that will ever be.
struct Ids {
    keys: [RandomState; 2],
    seen: HashMap<u128, u128>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Never,
    Same,
    Other,
}

impl Ids {
    fn new() -> Self {
        Self { keys: [RandomState::new(), RandomState::new()], seen: HashMap::new() }
    }

    fn hash(&self, write: impl FnOnce(&mut HashWriter)) -> u128 {
        let mut writer = HashWriter(self.keys.each_ref().map(BuildHasher::build_hasher));
        write(&mut writer);
        let [a, b] = writer.0.map(|hasher| u128::from(hasher.finish()));
        a << 64 | b
    }

    /// What stands for a record's content; 0 stands for a record whose id is made of its place.
    fn content(&self, record: &impl Serialize) -> u128 {
        // What cannot be written is like nothing else. It was read and checked, so that does not happen.
        self.hash(|writer| serde_json::to_writer(writer, record).unwrap_or_default()) | 1
    }

    fn see(&mut self, id: &str, content: u128) -> Seen {
        let id = self.hash(|writer| writer.0.iter_mut().for_each(|hasher| hasher.write(id.as_bytes())));
        match self.seen.entry(id) {
            Entry::Vacant(place) => {
                place.insert(content);
                Seen::Never
            }
            Entry::Occupied(place) if content != 0 && *place.get() == content => Seen::Same,
            Entry::Occupied(_) => Seen::Other,
        }
    }
}

/// Hashes what is written.
struct HashWriter([DefaultHasher; 2]);

impl Write for &mut HashWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.iter_mut().for_each(|hasher| hasher.write(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
