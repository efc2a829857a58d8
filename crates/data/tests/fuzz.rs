//! Damaged files of every container and for every reader: no panic, no hang, bounded memory, and no line lost.
//!
//! Each target starts from valid files, changes their bytes by a seeded stream and reads the result. By itself a target
//! runs for one second; `ACCORDANT_FUZZ_SECONDS` says how long else, and `ACCORDANT_FUZZ_SEED` from which seed.
//! `cargo test --test fuzz -- --nocapture` prints executions. A new reader is one line in [`TARGETS`].

use std::{
    fs, panic,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use accordant_data::{
    Container, LoadOptions, LoadReport, Pair, Result, load, load_as,
    order::{Purpose, stream},
    read::JsonLines,
    read_hh_rlhf,
    users::Users,
    write::write,
};
use rand::Rng;

/// A reader with files that it reads.
struct Target {
    name: &'static str,
    /// Names, of which the ending counts, and contents.
    seeds: fn() -> Vec<(&'static str, Vec<u8>)>,
    /// Reads a file. Reports, where there is one, are checked for lost lines.
    read: fn(&Path, &LoadOptions) -> Vec<Result<LoadReport>>,
}

/// All targets, each a test below.
const TARGETS: [Target; 10] = [
    Target { name: "lines", seeds: || vec![("a.jsonl", lines().into_bytes())], read: records },
    Target { name: "gzip", seeds: || vec![written("a.jsonl.gz"), written("a.json.gz")], read: records },
    Target { name: "zstd", seeds: || vec![written("a.jsonl.zst"), written("a.json.zst")], read: records },
    Target { name: "array", seeds: || vec![written("a.json"), ("a.json", array())], read: records },
    Target { name: "table", seeds: || vec![("a.csv", table(",")), ("a.tsv", table("\t"))], read: records },
    Target { name: "parquet", seeds: || vec![written("a.parquet")], read: records },
    Target { name: "arrow", seeds: || vec![written("a.arrow")], read: records },
    Target { name: "arrow_stream", seeds: || vec![("a.arrows", arrow_stream())], read: records },
    Target { name: "users", seeds: || vec![("a.jsonl", users())], read: read_users },
    Target { name: "hh_rlhf", seeds: || vec![("a.jsonl", transcripts())], read: read_transcripts },
];

fn records(path: &Path, options: &LoadOptions) -> Vec<Result<LoadReport>> {
    let alone = LoadOptions { parallel: false, ..options.clone() };
    let mut rows = match JsonLines::open(path, &alone, |row| Ok(row.fields.into_rest())) {
        Ok(rows) => rows,
        Err(error) => return vec![Err(error)],
    };
    let failed = rows.by_ref().find_map(std::result::Result::err);
    let report = rows.into_report();
    vec![
        Ok(report),
        failed.map_or(Ok(LoadReport::default()), Err),
        load(path, options).map(|loaded| loaded.1),
        load_as::<Pair>(path, &alone).map(|loaded| loaded.1),
    ]
}

fn read_users(path: &Path, options: &LoadOptions) -> Vec<Result<LoadReport>> {
    vec![Users::read(path, options).map(|read| read.1)]
}

fn read_transcripts(path: &Path, options: &LoadOptions) -> Vec<Result<LoadReport>> {
    vec![read_hh_rlhf(path, options).map(|read| read.1)]
}

fn lines() -> String {
    [
        r#"{"prompt": "q", "chosen": "yes", "rejected": "no", "margin": 0.5, "meta": {"a": [1, null, "x"]}}"#,
        r#"{"kind": "pair", "chosen": [{"role": "user", "content": "q"}, {"from": "gpt", "value": "a"}],
            "rejected": [{"role": "user", "content": "q"}, {"role": "assistant", "content": [{"type": "text"}]}]}"#,
        r#"{"prompt": "\u00e9\ud83d\ude42", "a": "x", "b": "y", "outcome": "tie", "annotator": {"id": 7}}"#,
        "",
        r#"{"prompt": "q", "chosen": "yes", "rejected": "no", "tools": "[]", "weight": 1e3, "user_id": "u", "id": 1}"#,
    ]
    .map(|line| line.replace('\n', " "))
    .join("\n")
}

fn array() -> Vec<u8> {
    let rows: Vec<_> = lines().lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    format!("\u{feff}[\n  {}\n]\n", rows.join(",\n  ")).into_bytes()
}

fn table(delimiter: &str) -> Vec<u8> {
    let rows = [
        ["prompt", "chosen", "rejected", "margin"],
        ["q", "\"a \"\"quoted\"\"\nanswer\"", "no", "1"],
        ["", "\",\t\"", "x\"y", "\r"],
        ["q", "yes", "no", "NaN"],
    ];
    rows.map(|row| row.join(delimiter)).join("\r\n").into_bytes()
}

fn pairs() -> Vec<Pair> {
    let rows = lines();
    let pairs = rows.lines().filter_map(|line| serde_json::from_str::<Pair>(line).ok());
    pairs.filter(|pair| pair.prompt.as_plain().is_some() && pair.envelope.meta.is_empty()).cycle().take(40).collect()
}

fn written(name: &'static str) -> (&'static str, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    write(&path, &pairs()).unwrap();
    (name, fs::read(path).unwrap())
}

fn arrow_stream() -> Vec<u8> {
    use arrow_array::{Float64Array, RecordBatch, StringArray};
    use std::sync::Arc;
    let text = StringArray::from(vec![Some("q"), None, Some("é\n\"")]);
    let number = Float64Array::from(vec![Some(0.5), Some(f64::NAN), None]);
    let batch =
        RecordBatch::try_from_iter([("prompt", Arc::new(text) as _), ("margin", Arc::new(number) as _)]).unwrap();
    let mut bytes = Vec::new();
    let mut writer = arrow_ipc::writer::StreamWriter::try_new(&mut bytes, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    bytes
}

fn users() -> Vec<u8> {
    br#"{"user_id": 7, "profile": "p", "attributes": {"age": null}, "stated_preferences": {"humor": 0.5}}
{"user_id": "b", "system_string": "s", "age": "18-29"}
"#
    .to_vec()
}

fn transcripts() -> Vec<u8> {
    let row = |answer: &str| {
        let begin = "\n\nHuman: Hi.\n\nAssistant: Hello, \"you\".\n\nHuman: \u{e9}?\n\nAssistant:";
        serde_json::json!({"chosen": format!("{begin} yes"), "rejected": format!("{begin} {answer}")}).to_string()
    };
    [row("no"), row("yes"), row(" ")].join("\n").into_bytes()
}

/// What breaks parsers of text and of lengths.
const TOKENS: [&[u8]; 22] = [
    b"\"",
    b"\n",
    b"\r\n",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b"\\",
    b"\\ud800",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"null",
    b"\xEF\xBB\xBF",
    b"\xFF\xFF\xFF\xFF",
    b"\x00\x00\x00\x80",
    b"\x1F\x8B",
    b"\x28\xB5\x2F\xFD",
    b"PAR1",
    b"\t",
    b"\n\nHuman:",
];

fn mutate(bytes: &mut Vec<u8>, other: &[u8], rng: &mut impl Rng) {
    for _ in 0..rng.random_range(1..6) {
        let (len, at) = (bytes.len(), rng.random_range(0..=bytes.len()));
        let to = rng.random_range(at..=len.min(at + 64));
        match rng.random_range(0..9) {
            0 | 1 if at < len => bytes[at] ^= 1 << rng.random_range(0..8),
            2 if at < len => bytes[at] = rng.random(),
            3 => drop(bytes.drain(at..to)),
            4 => drop(bytes.splice(at..to, TOKENS[rng.random_range(0..TOKENS.len())].iter().copied())),
            5 => drop(bytes.splice(at..at, TOKENS[rng.random_range(0..TOKENS.len())].iter().copied())),
            6 if rng.random_range(0..8) == 0 => bytes.truncate(at),
            7 => {
                let part = bytes[at..to].repeat(rng.random_range(1..20));
                drop(bytes.splice(at..at, part));
            }
            8 if !other.is_empty() => {
                let from = rng.random_range(0..other.len());
                let part = &other[from..other.len().min(from + 64)];
                drop(bytes.splice(at..to, part.iter().copied()));
            }
            _ => {}
        }
    }
}

fn options(rng: &mut impl Rng) -> LoadOptions {
    let containers = [Container::Auto, Container::JsonLines, Container::JsonArray, Container::Csv, Container::Tsv];
    LoadOptions {
        repair: rng.random(),
        mixed: rng.random(),
        parallel: rng.random_range(0..4) == 0,
        max_reject_fraction: 1.0,
        max_reject_samples: 2,
        max_line_bytes: [1, 64, 1 << 20][rng.random_range(0..3)],
        container: if rng.random_range(0..8) == 0 { containers[rng.random_range(0..5)] } else { Container::Auto },
        encoding: match rng.random_range(0..10) {
            0 => encoding_rs::MACINTOSH,
            1 => encoding_rs::UTF_16LE,
            2 => encoding_rs::SHIFT_JIS,
            _ => encoding_rs::UTF_8,
        },
        ..LoadOptions::default()
    }
}

fn number_from(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a whole number"))
}

/// Panics that a reader caught: those of decoders that are not ours. The tests share the hook.
static CAUGHT: AtomicUsize = AtomicUsize::new(0);
static HOOKED: Mutex<bool> = Mutex::new(false);

/// Panics inside of decoders are not printed, since each would be a page.
fn quiet() {
    let mut hooked = HOOKED.lock().unwrap();
    if !*hooked {
        *hooked = true;
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let foreign = info.location().is_some_and(|place| !place.file().contains("crates/data"));
            match foreign {
                true => _ = CAUGHT.fetch_add(1, Ordering::Relaxed),
                false => usual(info),
            }
        }));
    }
}

fn fuzz(name: &str) {
    quiet();
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target of this name");
    let (seed, seconds) = (number_from("ACCORDANT_FUZZ_SEED", 1), number_from("ACCORDANT_FUZZ_SECONDS", 1));
    let (seeds, folder) = ((target.seeds)(), tempfile::tempdir().unwrap());
    let mut rng = stream(seed, Purpose::DataOrder, name.len() as u32);
    let (start, mut executions, mut slowest) = (Instant::now(), 0u64, Duration::ZERO);
    for (name, bytes) in &seeds {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let reports =
            (target.read)(&path, &LoadOptions { mixed: true, max_reject_fraction: 1.0, ..LoadOptions::default() });
        assert!(reports.iter().any(|report| report.as_ref().is_ok_and(|report| report.used > 0)), "{name} is no seed");
    }
    while start.elapsed() < Duration::from_secs(seconds) {
        let (file, seed) = &seeds[rng.random_range(0..seeds.len())];
        let mut bytes = seed.clone();
        mutate(&mut bytes, &seeds[rng.random_range(0..seeds.len())].1, &mut rng);
        let (path, options) = (folder.path().join(file), options(&mut rng));
        fs::write(&path, &bytes).unwrap();
        let began = Instant::now();
        let read = panic::catch_unwind(|| (target.read)(&path, &options));
        let took = began.elapsed();
        let input = || format!("{name}, {options:?}, {:?}", String::from_utf8_lossy(&bytes));
        let reports = read.unwrap_or_else(|_| panic!("a panic: {}", input()));
        let mut allowed = Duration::from_secs(20);
        for report in reports.into_iter().flatten() {
            assert!(report.is_conserved(), "a line is lost: {report:?}, {}", input());
            // A few bytes of columns can hold any number of equal rows, as a packed file can hold any number of bytes.
            allowed += Duration::from_micros(50) * u32::try_from(report.lines).unwrap_or(u32::MAX);
        }
        assert!(took < allowed, "{took:?}: {}", input());
        (executions, slowest) = (executions + 1, slowest.max(took));
    }
    let peak = peak_mebibytes();
    println!(
        "{name}: {executions} executions in {seconds} s, slowest {slowest:.0?}, peak of the process {peak:.0?} MiB"
    );
    println!("{name}: panics caught inside of decoders so far: {}", CAUGHT.load(Ordering::Relaxed));
    assert!(peak.is_none_or(|peak| peak < 1024.0), "{peak:?} MiB");
}

/// The most memory that the process ever held, in MiB, where the system says.
fn peak_mebibytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
}

macro_rules! targets {
    ($($test:ident $name:literal)*) => {
        $(
            #[test]
            fn $test() {
                fuzz($name);
            }
        )*

        #[test]
        fn every_target_is_a_test() {
            assert_eq!(TARGETS.map(|target| target.name), [$($name),*]);
        }
    };
}

targets! {
    damaged_lines "lines"
    damaged_gzip "gzip"
    damaged_zstd "zstd"
    damaged_arrays "array"
    damaged_tables "table"
    damaged_parquet "parquet"
    damaged_arrow_files "arrow"
    damaged_arrow_streams "arrow_stream"
    damaged_users "users"
    damaged_transcripts "hh_rlhf"
}
