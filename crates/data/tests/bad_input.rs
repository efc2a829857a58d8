//! Broken, strange and hostile files, each with what the user is told.

use std::{fs, io::Write, path::PathBuf};

use accordant_data::{
    Code, Error, LoadOptions, LoadReport, OnReject, Pair, Result, code::Warning, read::JsonLines, read_hh_rlhf,
};
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use tempfile::TempDir;

/// A file that goes away with the test.
struct Fixture(TempDir, PathBuf);

fn file(bytes: impl AsRef<[u8]>) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    fs::write(&path, bytes).unwrap();
    Fixture(folder, path)
}

impl Fixture {
    fn load(&self, on_reject: OnReject) -> Result<(Vec<Pair>, LoadReport)> {
        read_hh_rlhf(&self.1, &LoadOptions { on_reject, ..LoadOptions::default() })
    }

    fn skip(&self) -> (Vec<Pair>, LoadReport) {
        let (pairs, report) = self.load(OnReject::Skip).unwrap();
        assert!(report.is_conserved());
        (pairs, report)
    }

    /// The message of an error, without the folder's random name.
    fn error(&self, on_reject: OnReject) -> String {
        let message = self.load(on_reject).unwrap_err().to_string();
        message.replace(&format!("{}/", self.0.path().display()), "")
    }
}

fn row(answer: &str) -> String {
    format!(r#"{{"chosen":"\n\nHuman: q\n\nAssistant: yes","rejected":"\n\nHuman: q\n\nAssistant: {answer}"}}"#)
}

fn rows(n: usize) -> String {
    (0..n).map(|i| row(&format!("no {i}")) + "\n").collect()
}

fn gzip(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes.as_ref()).unwrap();
    encoder.finish().unwrap()
}

/// Three good rows, then this line: what strict mode says about it, and whether the mode for broken files stops too.
fn line_error(line: impl AsRef<[u8]>) -> (String, bool) {
    let file = file([rows(3).as_bytes(), line.as_ref(), b"\n"].concat());
    let (pairs, report) = file.skip();
    assert_eq!((pairs.len(), report.lines, report.total_rejected(), report.samples.len()), (3, 4, 1, 1));
    assert_eq!((report.samples[0].line, report.samples[0].record_index), (4, 3));
    let stops = matches!(file.load(OnReject::StopIfMalformed), Err(Error::Rejected(_)));
    assert_eq!(stops, report.samples[0].code.is_malformed());
    (file.error(OnReject::Stop), stops)
}

#[test]
fn a_missing_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nowhere.jsonl");
    let error = read_hh_rlhf(&path, &LoadOptions::default()).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot open `{}`", path.display()));
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.starts_with("No such file"), "{source}");
}

#[test]
fn a_folder_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = read_hh_rlhf(folder.path(), &LoadOptions::default()).unwrap_err();
    assert!(matches!(error, Error::Read { .. } | Error::Open { .. }), "{error:?}");
}

#[test]
fn files_without_a_record_are_empty_plain_or_packed() {
    let blank = "\u{feff}\n \t\r\n\n";
    for bytes in [vec![], blank.into(), gzip(""), gzip(blank)] {
        assert_eq!(file(bytes).error(OnReject::Skip), "`rows.jsonl` holds no record");
    }
}

#[test]
fn pointers_and_web_pages_are_told_from_data() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    let message = "`rows.jsonl` is a Git LFS pointer, not the data: fetch the file with `git lfs pull`";
    assert_eq!(file(pointer).error(OnReject::Skip), message);
    let message = "`rows.jsonl` is an HTML or XML page, not data: was an error page saved in its place?";
    for page in ["\n<!DOCTYPE html>\n<html>", "<html>", "<?xml version=\"1.0\"?><Error/>"] {
        assert_eq!(file(page).error(OnReject::Skip), message);
    }
}

#[test]
fn a_broken_line_says_where_and_what() {
    let yes = r#""chosen":"\n\nHuman: q\n\nAssistant: yes""#;
    let cases: [(Vec<u8>, &str, bool); 12] = [
        (b"{\"chosen\": \"\xff\"}".into(), "E_UTF8: invalid UTF-8 at column 13", true),
        (format!("{{{yes}}}").into(), "E_MISSING_FIELD: field `rejected`: missing", true),
        (format!("{{{yes}, \"r\": 1}}").into(), "E_MISSING_FIELD: field `rejected`: missing; there is `r`", true),
        (
            format!("{{{yes}, \"rejected\": null}}").into(),
            "E_NULL: field `rejected`: expected a string, found null",
            true,
        ),
        (
            format!("{{{yes}, \"rejected\": 7}}").into(),
            "E_TYPE: field `rejected`: expected a string, found number 7",
            true,
        ),
        ("[\"chosen\"]".into(), "E_NOT_OBJECT: expected one object per line, found an array", true),
        ("3.5".into(), "E_NOT_OBJECT: expected one object per line, found a number", true),
        (format!("{{{yes}, \"rejected\" \"no\"}}").into(), "E_JSON: expected `:` at column 56", true),
        (
            format!("{{{yes}, \"rejected\": NaN}}").into(),
            "E_JSON_NONFINITE: `NaN` and `Infinity` are not JSON: column 57",
            true,
        ),
        (r#"{"chosen": "\ud83d"}"#.into(), "E_SURROGATE: unexpected end of hex escape at column 19", true),
        (row("yes").into(), "E_IDENTICAL: `chosen` and `rejected` are the same", false),
        (row(" ").into(), "E_EMPTY: field `rejected`: the last answer is empty", false),
    ];
    for (line, message, stops) in cases {
        assert_eq!(line_error(line), (format!("rows.jsonl:4: {message}"), stops));
    }
    for token in ["-Infinity", "Infinity", "[1, NaN]"] {
        let (message, _) = line_error(format!("{{\"chosen\": {token}}}"));
        assert!(message.contains("E_JSON_NONFINITE"), "{message}");
    }
    let (message, _) = line_error("[".repeat(1_000_000));
    assert!(message.contains("E_NOT_OBJECT"), "{message}");
    let (message, _) = line_error("{\"a\":".repeat(1_000_000));
    assert!(message.contains("E_JSON: recursion limit exceeded"), "{message}");
}

#[test]
fn a_line_that_breaks_off_with_the_file_is_truncated() {
    let file = file(rows(3) + "{\"chosen\": \"\\n\\nHum");
    assert_eq!(file.skip().1.count(Code::Truncated), 1);
    let message =
        "rows.jsonl:4: E_TRUNCATED: the JSON breaks off with the file: EOF while parsing a string at column 19";
    assert_eq!(file.error(OnReject::StopIfMalformed), message);
}

#[test]
fn oddities_that_are_no_faults_are_read() {
    let text = format!("\u{feff}{}\r\n\r\n \n{}\n{}", row("a\u{2028}b\u{85}c"), row("e"), row("f"));
    for bytes in [text.clone().into_bytes(), gzip(&text), [gzip(&text[..99]), gzip(&text[99..])].concat()] {
        let (pairs, report) = file(bytes).skip();
        assert_eq!((report.lines, report.blank, report.used), (5, 2, 3));
        assert_eq!(pairs[0].rejected.as_messages().unwrap()[0].content, "a\u{2028}b\u{85}c");
        let places: Vec<_> = pairs.iter().map(|pair| pair.envelope.provenance.as_ref().unwrap()).collect();
        assert_eq!(places.iter().map(|place| place.record_index).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(places.iter().map(|place| place.line).collect::<Vec<_>>(), [1, 4, 5]);
    }
}

#[test]
fn a_key_that_comes_twice_counts_with_its_last_value() {
    let twice = row("no").replacen('{', r#"{"chosen":7,"note":1,"#, 1);
    let (pairs, report) = file(twice).skip();
    assert_eq!(report.warned(Warning::DupKey), 1);
    assert_eq!(pairs[0].envelope.meta, serde_json::from_str::<serde_json::Map<_, _>>(r#"{"note": 1}"#).unwrap());
}

#[test]
fn a_gzip_stream_that_breaks_off_keeps_what_came_before_and_says_so() {
    // Rows of random digits, which pack badly, so that the middle of the file is the middle of the rows.
    let numbers = (0..2000u64).map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17));
    let packed = gzip(numbers.map(|n| row(&format!("{n}")) + "\n").collect::<String>());
    for (cut, least, most) in [(packed.len() / 2, 800, 1200), (packed.len() - 4, 2000, 2000)] {
        let file = file(&packed[..cut]);
        let (pairs, report) = file.skip();
        assert!((least..=most).contains(&pairs.len()), "{}", pairs.len());
        assert_eq!((report.count(Code::Truncated), report.lines), (1, pairs.len() + 1));
        let place = format!("rows.jsonl:{}: E_TRUNCATED: the compressed stream breaks off here", report.lines);
        assert_eq!(file.error(OnReject::StopIfMalformed), place);
    }
    let message = "`rows.jsonl`: 1 of 1 rows rejected, the first is rows.jsonl:1: E_TRUNCATED: the compressed stream breaks off here";
    assert_eq!(file(&packed[..2]).error(OnReject::Skip), message);
    assert_eq!(file(&packed[..9]).error(OnReject::Skip), message);

    let mut wrong_sum = packed.clone();
    let at = wrong_sum.len() - 8;
    wrong_sum[at] ^= 1;
    let message = file(wrong_sum).error(OnReject::Stop);
    assert!(
        message.contains("rows.jsonl:2001: E_TRUNCATED: the compressed stream is damaged here: corrupt"),
        "{message}"
    );
    let trailing = file([&packed[..], b"trailing"].concat());
    assert_eq!(trailing.skip().1.count(Code::Truncated), 1);
}

#[test]
fn a_line_of_50_megabytes_is_skipped_within_a_limit_of_one() {
    let long = vec![b'x'; 50_000_000];
    for file in [
        file([&long, &b"\n"[..], rows(2).as_bytes()].concat()),
        file(gzip([&long, &b"\n"[..], rows(2).as_bytes()].concat())),
    ] {
        let options = LoadOptions { max_line_bytes: 1 << 20, ..LoadOptions::default() };
        let (pairs, report) = read_hh_rlhf(&file.1, &options).unwrap();
        assert_eq!((pairs.len(), report.count(Code::LineTooLong)), (2, 1));
        let reject = &report.samples[0];
        assert_eq!(reject.message, "expected a line of at most 1048576 bytes, found 50000000");
        assert_eq!((reject.line, reject.excerpt.len()), (1, 200));
        assert_eq!(pairs[0].envelope.provenance.as_ref().unwrap().line, 2);
    }
}

#[test]
fn a_mostly_broken_file_is_an_error_and_not_a_small_data_set() {
    let text = format!("{}\nbad\n[]\n", row("no"));
    let message = "`rows.jsonl`: 2 of 3 rows rejected, the first is rows.jsonl:2: E_JSON: expected value at column 1";
    assert_eq!(file(&text).error(OnReject::Skip), message);
    let with =
        |max_reject_fraction| LoadOptions { max_reject_fraction, max_reject_samples: 0, ..LoadOptions::default() };
    let (pairs, report) = read_hh_rlhf(&file(&text).1, &with(0.7)).unwrap();
    assert_eq!((pairs.len(), report.total_rejected(), report.samples.len()), (1, 2, 0));
    // Half is not more than half; and nothing at all is refused whatever the limit.
    assert!(read_hh_rlhf(&file(format!("{}\nbad", row("no"))).1, &with(0.5)).is_ok());
    assert!(matches!(read_hh_rlhf(&file("bad").1, &with(1.0)), Err(Error::TooManyRejects { .. })));
    let message = read_hh_rlhf(&file(&text).1, &with(f64::NAN)).unwrap_err().to_string();
    assert_eq!(message, "`max_reject_fraction`: expected a number in [0, 1], got NaN");
}

#[test]
fn the_iterator_ends_after_an_error() {
    let file = file(format!("{}\nbad\n{}\n", row("a"), row("b")));
    let options = LoadOptions { on_reject: OnReject::Stop, ..LoadOptions::default() };
    let mut rows = JsonLines::open(&file.1, &options, |row| Ok(row.line)).unwrap();
    assert!(matches!(rows.next(), Some(Ok(1))));
    assert!(matches!(rows.next(), Some(Err(Error::Rejected(_)))));
    assert!(rows.next().is_none());
    assert_eq!((rows.report().lines, rows.report().used), (2, 1));
}

/// What happens to one byte, or to all from it on.
#[derive(Debug, Clone)]
enum Damage {
    Set(usize, u8),
    Insert(usize, u8),
    Cut(usize),
}

fn damage() -> impl Strategy<Value = Vec<Damage>> {
    let byte = prop_oneof![any::<u8>(), prop::sample::select(b"\n\r{}[]\",:\\<\0".to_vec())];
    let set = (any::<usize>(), byte.clone()).prop_map(|(at, byte)| Damage::Set(at, byte));
    let insert = (any::<usize>(), byte).prop_map(|(at, byte)| Damage::Insert(at, byte));
    prop::collection::vec(prop_oneof![6 => set, 3 => insert, 1 => any::<usize>().prop_map(Damage::Cut)], 0..8)
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        let len = bytes.len().max(1);
        match *damage {
            Damage::Set(at, byte) => bytes.iter_mut().skip(at % len).take(1).for_each(|old| *old = byte),
            Damage::Insert(at, byte) => bytes.insert((at % len).min(bytes.len()), byte),
            Damage::Cut(at) => bytes.truncate(at % len),
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_never_panic_and_lose_no_line(inner in damage(), outer in damage(), packed: bool, mode in 0..3usize) {
        let text = damaged(format!("\u{feff}{}\r\n\n{}", rows(6), row("ü\u{2028}")).into_bytes(), &inner);
        let bytes = if packed { damaged(gzip(text), &outer) } else { text };
        let file = file(&bytes);
        let on_reject = [OnReject::Stop, OnReject::StopIfMalformed, OnReject::Skip][mode];
        let options = LoadOptions { on_reject, max_line_bytes: 100, max_reject_fraction: 1.0, ..LoadOptions::default() };
        if let Ok((pairs, report)) = read_hh_rlhf(&file.1, &options) {
            prop_assert!(report.is_conserved());
            prop_assert_eq!((pairs.len(), report.used), (report.records, report.records));
            prop_assert!(on_reject == OnReject::Skip || report.rejected.keys().all(|code| !code.is_malformed()));
            prop_assert_eq!(report.samples.len(), report.total_rejected());
            prop_assert!(report.samples.iter().all(|reject| reject.excerpt.chars().count() <= 200));
            let again = read_hh_rlhf(&file.1, &options).unwrap();
            prop_assert_eq!(again, (pairs, report));
        }
    }
}
