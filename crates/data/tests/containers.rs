//! Every container, whole and broken: what is read from it, and what the user is told.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use accordant_data::{
    Code, Container, Error, LoadOptions, LoadReport, OnReject, Pair, Warning, load, load_as,
    read::{JsonLines, read_jsonl},
};
use encoding_rs::MACINTOSH;
use flate2::{Compression, write::GzEncoder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::Value;
use tempfile::TempDir;

fn gzip(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes.as_ref()).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    compress_to_vec(bytes.as_ref(), CompressionLevel::Fastest)
}

struct Fixture(TempDir);

impl Fixture {
    fn new(name: &str, bytes: impl AsRef<[u8]>) -> (Self, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        (Self(folder), path)
    }
}

/// Rows as they are read: the line and the fields.
type Rows = Vec<(usize, Value)>;

fn rows_of(path: &Path, options: &LoadOptions) -> accordant_data::Result<(Rows, LoadReport)> {
    let (rows, report) = read_jsonl(path, options, |row| Ok((row.line, Value::Object(row.fields.into_rest()))))?;
    assert!(report.is_conserved());
    Ok((rows, report))
}

fn lenient() -> LoadOptions {
    LoadOptions { max_reject_fraction: 1.0, ..LoadOptions::default() }
}

fn read(name: &str, bytes: impl AsRef<[u8]>) -> (Rows, LoadReport) {
    let (_folder, path) = Fixture::new(name, bytes);
    rows_of(&path, &lenient()).unwrap()
}

/// Rejects as `line: CODE: message`.
fn rejects(report: &LoadReport) -> Vec<String> {
    report.samples.iter().map(|reject| format!("{}: {}: {}", reject.line, reject.code, reject.message)).collect()
}

fn lines_of(rows: &Rows) -> Vec<usize> {
    rows.iter().map(|row| row.0).collect()
}

const LINES: &str = "{\"a\": \"x\"}\n{\"a\": \"y\"}\n";

#[test]
fn the_same_rows_come_out_of_every_container() {
    let skipped = [&[0x5E, 0x2A, 0x4D, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    let (first, second) = LINES.split_at(13);
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("a.jsonl", LINES.into()),
        ("a.json", LINES.into()),
        ("a.csv", LINES.into()),
        ("plain", LINES.into()),
        ("packed", [gzip(first), gzip(second)].concat()),
        ("a.jsonl.zst", [skipped.clone(), zstd(first), skipped, zstd(""), zstd(second)].concat()),
        ("a.json", "\u{feff} [{\"a\": \"x\"},\n{\"a\": \"y\"}] ".into()),
        ("array", gzip("[{\"a\": \"x\"}\n,{\"a\": \"y\"}]")),
        ("b.csv", "a\nx\ny\n".into()),
        ("b.CSV.gz", gzip("\u{feff}a\r\n\"x\"\r\ny")),
        ("b.tsv.zst", zstd("a\nx\ny")),
    ];
    for (name, bytes) in cases {
        let (rows, report) = read(name, bytes);
        let values: Vec<_> = rows.iter().map(|row| row.1["a"].as_str().unwrap()).collect();
        assert_eq!((values, report.lines, report.used, report.blank), (vec!["x", "y"], 2, 2, 0), "{name}");
    }
    let (_folder, path) = Fixture::new("a.txt", "a\nx\ny\n");
    let options = LoadOptions { container: Container::Tsv, ..LoadOptions::default() };
    assert_eq!(rows_of(&path, &options).unwrap().0.len(), 2);
}

#[test]
fn the_elements_of_an_array_have_the_lines_on_which_they_start() {
    let text = "\n[\n {\"a\": 1,\n  \"b\": \"]\\\"},{\"},\n\n{\"a\": [1, {\"c\": \"\u{2028}\"}]}, {\"a\": 3}\n]\n";
    let (rows, report) = read("a.json", text);
    assert_eq!(lines_of(&rows), [3, 6, 6]);
    assert_eq!(rows[0].1, serde_json::json!({"a": 1, "b": "]\"},{"}));
    assert_eq!((report.lines, report.used, report.blank), (3, 3, 0));
    // Of a name that says lines, an array is a line that is no object.
    let (_folder, path) = Fixture::new("a.jsonl", "[{\"a\": 1}]\n");
    let error = rows_of(&path, &LoadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("E_NOT_OBJECT: expected one object per line, found an array"), "{error}");
}

#[test]
fn what_is_wrong_with_an_array_is_a_reject_and_nothing_behind_it_is_lost() {
    let cases = [
        ("[{\"a\":1},\n{\"a\":2}", 2, "2: E_TRUNCATED: the array breaks off with the file: expected `]`"),
        ("[{\"a\":1},\n{\"a\":2},", 2, "2: E_TRUNCATED: the array breaks off with the file: expected `]`"),
        (
            "[{\"a\":1},\n{\"a\":",
            1,
            "2: E_TRUNCATED: the JSON breaks off with the file: EOF while parsing a value at column 5",
        ),
        (
            "[{\"a\":1},\n{\"a\":\"]}",
            1,
            "2: E_TRUNCATED: the JSON breaks off with the file: EOF while parsing a string at column 8",
        ),
        ("[{\"a\":1},\n]", 1, "2: E_JSON: expected an element, found `]`"),
        ("[{\"a\":1},\n,{\"a\":2}]", 2, "2: E_JSON: expected an element, found `,`"),
        ("[{\"a\":1},\n7,{\"a\":2}]", 2, "2: E_NOT_OBJECT: expected one object per line, found a number"),
        ("[{\"a\":1},\n},{\"a\":2}]", 2, "2: E_JSON: expected value at column 1"),
        ("[{\"a\":1}]\n{\"a\":2}]", 1, "2: E_JSON: expected the end of the file behind the array"),
        ("[{\"a\":1},{\n\n\"a\":NaN}]", 1, "1: E_JSON_NONFINITE: `NaN` and `Infinity` are not JSON: column 8"),
    ];
    for (text, used, reject) in cases {
        let (_, report) = read("a.json", text);
        assert_eq!(
            (report.used, report.lines, &rejects(&report)[..]),
            (used, used + 1, &[reject.to_owned()][..]),
            "{text}"
        );
    }
    let empty = Fixture::new("a.json", "[ ]");
    assert!(matches!(rows_of(&empty.1, &lenient()), Err(Error::Empty { .. })));
    let options = LoadOptions { container: Container::JsonArray, ..lenient() };
    let lines = Fixture::new("a.json", LINES);
    let error = rows_of(&lines.1, &options).unwrap_err().to_string();
    assert!(error.ends_with("E_JSON: expected `[`, which begins an array"), "{error}");
}

#[test]
fn an_element_that_is_too_long_is_one_reject_and_never_held_in_full() {
    let text = format!("[{{\"a\":\"{}\"}}, {{\"a\":1}}]", "x".repeat(1000));
    let (_folder, path) = Fixture::new("a.json", text);
    let (rows, report) = rows_of(&path, &LoadOptions { max_line_bytes: 100, ..lenient() }).unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rejects(&report), ["1: E_LINE_TOO_LONG: expected a line of at most 100 bytes, found 1008"]);
}

#[test]
fn newlines_in_quotes_belong_to_the_cell_and_count_as_lines() {
    let text = "id,text\n1,\"two\nlines, \"\"quoted\"\"\"\r\n\n2,plain \"quote\"\n3,\n";
    let (rows, report) = read("a.csv", text);
    let values: Vec<_> = rows.iter().map(|row| row.1["text"].as_str()).collect();
    assert_eq!(values, [Some("two\nlines, \"quoted\""), Some("plain \"quote\""), None]);
    assert_eq!(lines_of(&rows), [2, 5, 6]);
    assert_eq!((report.lines, report.used, report.blank), (4, 3, 1));
}

#[test]
fn a_stray_quote_costs_its_line_and_not_the_file() {
    let text = "id,text\n1,\"never closed\n2,b\n3,c\n";
    let (rows, report) = read("a.csv", text);
    assert_eq!(lines_of(&rows), [3, 4]);
    let message = "a quote at the beginning of a cell is not closed within the file";
    assert_eq!(rejects(&report), [format!("2: E_TRUNCATED: {message}")]);
    assert_eq!((report.samples[0].byte_offset, &report.samples[0].excerpt[..]), (8, "1,\"never closed"));
    // In a file of any size, no more than the limit is looked at.
    let (_folder, path) = Fixture::new("a.csv", format!("{text}{}", "4,dddd\n".repeat(100)));
    let (rows, report) = rows_of(&path, &LoadOptions { max_line_bytes: 64, ..lenient() }).unwrap();
    assert_eq!((rows.len(), rows[101].0), (102, 104));
    assert!(
        rejects(&report)[0]
            .ends_with("E_LINE_TOO_LONG: a quote at the beginning of a cell is not closed within 64 bytes")
    );
    // A quote on the last line, and one on a line that is itself too long.
    assert_eq!(rejects(&read("a.csv", "a,b\n0,0\n1,\"x").1), [format!("3: E_TRUNCATED: {message}")]);
    let (_folder, path) = Fixture::new("a.csv", format!("a,b\n1,\"{}\n2,x\n", "y".repeat(100)));
    let (rows, report) = rows_of(&path, &LoadOptions { max_line_bytes: 64, ..lenient() }).unwrap();
    assert_eq!(lines_of(&rows), [3]);
    assert_eq!(rejects(&report), ["2: E_LINE_TOO_LONG: expected a line of at most 64 bytes, found 103"]);
}

#[test]
fn a_record_of_exactly_the_limit_is_read() {
    let options = LoadOptions { max_line_bytes: 8, ..lenient() };
    for (text, used) in
        [("a\n\"345678\"\n1\n", 2), ("a\n12345678\n1\n", 2), ("a\n123456789\n1\n", 1), ("a\n\"3456789\"\n1\n", 1)]
    {
        let (_folder, path) = Fixture::new("a.csv", text);
        let (rows, report) = rows_of(&path, &options).unwrap();
        assert_eq!((rows.len(), report.lines), (used, 2), "{text:?}");
    }
}

#[test]
fn records_with_other_cells_than_the_header_are_rejects() {
    let (rows, report) = read("a.tsv", "a\tb\nx\ty\nz\n\t\n1\t2\t3\n");
    assert_eq!(
        rows.iter().map(|row| row.1.to_string()).collect::<Vec<_>>(),
        [r#"{"a":"x","b":"y"}"#, r#"{"a":null,"b":null}"#]
    );
    let message = "E_LEN_MISMATCH: expected 2 cells as in the header, found";
    assert_eq!(rejects(&report), [format!("3: {message} 1"), format!("5: {message} 3")]);
    let (_, report) = read("a.csv", "a,a\n1,2\n");
    assert_eq!(report.warned(Warning::DupKey), 1);
}

#[test]
fn mac_roman_and_second_headers_are_options() {
    // 0x8E is é in Mac Roman, 0xD2 and 0xD3 are quotation marks.
    let (_folder, path) = Fixture::new("a.csv", b"text,n\nText,Number\nlong text,note\ncaf\x8E \xD2x\xD3,1\n");
    let options = LoadOptions { encoding: MACINTOSH, skip_after_header: 2, ..LoadOptions::default() };
    let (rows, report) = rows_of(&path, &options).unwrap();
    assert_eq!((rows[0].0, rows[0].1["text"].as_str()), (4, Some("café \u{201c}x\u{201d}")));
    assert_eq!((report.lines, report.used), (1, 1));
    let options = LoadOptions { skip_after_header: 2, ..lenient() };
    let error = rows_of(&path, &options).unwrap_err().to_string();
    assert!(error.contains("a.csv:4: E_UTF8: invalid UTF-8 at column"), "{error}");
}

#[test]
fn bytes_that_are_no_text_in_an_encoding_are_rejects_as_in_utf_8() {
    let (_folder, path) =
        Fixture::new("a.jsonl", [LINES.as_bytes(), b"{\"a\": \"\x85\x81\"}\n{\"a\": \"z\"}\n"].concat());
    let options = LoadOptions { encoding: encoding_rs::SHIFT_JIS, ..lenient() };
    let (rows, report) = rows_of(&path, &options).unwrap();
    assert_eq!((rows.len(), report.count(Code::Utf8)), (3, 1), "{report}");
    let utf16: Vec<u8> = "\u{feff}{\"a\": \"é\"}\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let (_folder, path) = Fixture::new("a.jsonl", utf16);
    let options = LoadOptions { encoding: encoding_rs::UTF_16LE, ..LoadOptions::default() };
    assert_eq!(rows_of(&path, &options).unwrap().0[0].1["a"], "é");
}

#[test]
fn a_zstd_stream_that_is_damaged_is_one_reject_at_its_line() {
    let good = zstd(LINES);
    // A frame that asks for a window of 2 GiB, and holds one raw block.
    let hostile = [&[0x28, 0xB5, 0x2F, 0xFD, 0, 21 << 3][..], &[1 | 1 << 3, 0, 0], b"x"].concat();
    let cases = [
        ([&good[..], &good[..10]].concat(), "the compressed stream breaks off here"),
        ([&good[..], &good[..3]].concat(), "the compressed stream breaks off here"),
        ([&good[..], b"junk"].concat(), "the compressed stream is damaged here: 0x6b6e756a begins no frame"),
        (
            [&good[..], &hostile].concat(),
            "the compressed stream is damaged here: Specified window_size is too big; Requested: 2147483648, Max: 134217728",
        ),
    ];
    for (bytes, message) in cases {
        let (_folder, path) = Fixture::new("a.jsonl", &bytes);
        let mut rows = JsonLines::open(&path, &lenient(), |row| Ok(row.line)).unwrap();
        assert_eq!(rows.by_ref().filter_map(Result::ok).collect::<Vec<_>>(), [1, 2], "{message}");
        assert_eq!(rejects(rows.report()), [format!("3: E_TRUNCATED: {message}")]);
    }
    let mut wrong = good.clone();
    *wrong.last_mut().unwrap() ^= 1;
    let (_, report) = read("a.jsonl", [wrong, good].concat());
    assert!(rejects(&report)[0].ends_with("the checksum does not match"), "{report}");
}

#[test]
fn a_skippable_frame_that_breaks_off_is_damage() {
    let bytes = [&zstd(LINES)[..], &[0x50, 0x2A, 0x4D, 0x18, 9, 0, 0, 0, 1]].concat();
    assert_eq!(rejects(&read("a.jsonl", bytes).1), ["3: E_TRUNCATED: the compressed stream breaks off here"]);
}

#[test]
fn arrays_and_tables_in_a_packed_file_that_breaks_off_keep_what_came_before() {
    let noise = |i: u64| i.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_string();
    let array: Vec<_> = (0..5000).map(|i| format!("{{\"a\": \"{}\"}}", noise(i))).collect();
    let table: Vec<_> = (0..5000).map(noise).collect();
    let cases = [("a.json", format!("[{}]", array.join(",\n"))), ("a.csv", format!("a\n{}\n", table.join("\n")))];
    for (name, text) in cases {
        let packed = gzip(text);
        let (rows, report) = read(name, &packed[..packed.len() / 2]);
        assert!(rows.len() > 1000 && rows.len() < 4000, "{}", rows.len());
        assert_eq!(report.total_rejected(), 1);
        assert!(rejects(&report)[0].ends_with("E_TRUNCATED: the compressed stream breaks off here"), "{report}");
        let expected = array.iter().take(rows.len()).map(|row| serde_json::from_str::<Value>(row).unwrap());
        assert!(rows.iter().map(|row| row.1.clone()).eq(expected));
    }
}

#[test]
fn d28_files_that_are_no_data_are_named_with_advice() {
    for name in ["a.jsonl", "a.csv", "a.json", "a.parquet"] {
        let message = |bytes: &[u8]| {
            let (folder, path) = Fixture::new(name, bytes);
            let options = LoadOptions { on_reject: OnReject::StopIfMalformed, ..LoadOptions::default() };
            let message = load(&path, &options).unwrap_err().to_string();
            message.replace(&format!("{}/", folder.0.path().display()), "")
        };
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n";
        assert_eq!(
            message(pointer),
            format!("`{name}` is a Git LFS pointer, not the data: fetch the file with `git lfs pull`")
        );
        let page = b"\xEF\xBB\xBF\n<!DOCTYPE html><html>";
        assert_eq!(
            message(page),
            format!("`{name}` is an HTML or XML page, not data: was an error page saved in its place?")
        );
        assert_eq!(message(&gzip(page)), message(page));
        let packed = gzip([LINES; 2].concat());
        let broken = message(&packed[..packed.len() / 2]);
        assert!(broken.ends_with("E_TRUNCATED: the compressed stream breaks off here"), "{broken}");
    }
}

#[test]
fn d29_odd_characters_split_no_row_and_odd_bytes_reject_one() {
    let odd = "a\u{2028}b\u{2029}c\u{85}d\u{c}e\u{b}f\u{1c}g";
    let json = serde_json::to_string(odd).unwrap();
    let text = [format!("{{\"a\": {json}}}\n").as_bytes(), b"{\"a\": \"\xFF\"}\n{\"a\": NaN}\n{\"a\": \"\\ud800\"}\n"]
        .concat();
    let (rows, report) = read("a.jsonl", &text);
    assert_eq!(rows, [(1, serde_json::json!({"a": odd}))]);
    assert_eq!((report.count(Code::Utf8), report.count(Code::JsonNonfinite), report.count(Code::Surrogate)), (1, 1, 1));
    let (_folder, path) = Fixture::new("a.jsonl", text);
    let (rows, report) = rows_of(&path, &LoadOptions { repair: true, ..LoadOptions::default() }).unwrap();
    let values: Vec<_> = rows.iter().skip(1).map(|row| row.1["a"].clone()).collect();
    assert_eq!(values, [Value::from("\u{fffd}"), Value::Null, Value::from("\u{fffd}")]);
    assert_eq!((report.repaired.len(), report.total_rejected()), (3, 0));
    let (rows, _) = read("a.csv", format!("a,b\n{odd},1\n"));
    assert_eq!(rows[0].1["a"], odd);
}

fn pair(prompt: &str) -> String {
    format!(r#"{{"prompt": "{prompt}", "chosen": "yes", "rejected": "no"}}"#)
}

#[test]
fn d12_a_load_that_shrinks_says_by_how_much_and_fails_above_a_share() {
    let text = [pair("q"), "{}".into(), pair("r"), "{".into()].join("\n");
    let (_folder, path) = Fixture::new("a.jsonl", text);
    let (pairs, report) = load(&path, &LoadOptions::default()).unwrap();
    assert_eq!((pairs.len(), report.used, report.total_rejected(), report.lines), (2, 2, 2, 4));
    let strict = LoadOptions { max_reject_fraction: 0.4, ..LoadOptions::default() };
    match load(&path, &strict).unwrap_err() {
        Error::TooManyRejects { rejected, rows, first, .. } => assert_eq!((rejected, rows, first.line), (2, 4, 2)),
        error => panic!("{error}"),
    }
}

#[test]
fn d42_a_reject_says_file_line_field_reason_and_what_would_fit() {
    let text = [pair("q"), r#"{"chosen": "a", "reject": "b"}"#.into()];
    let (_folder, path) = Fixture::new("a.jsonl", text.join("\n"));
    let (_, report) = load(&path, &LoadOptions::default()).unwrap();
    let reject = &report.samples[0];
    assert_eq!((reject.file.clone(), reject.line, reject.record_index, reject.code), (path.clone(), 2, 1, Code::Kind));
    assert_eq!(
        reject.message,
        "no kind has the fields `chosen`, `reject`; the nearest is `pair`, which also needs `rejected`"
    );
    let error =
        load_as::<Pair>(&path, &LoadOptions { on_reject: OnReject::Stop, ..LoadOptions::default() }).unwrap_err();
    let Error::Rejected(reject) = error else { panic!("{error}") };
    assert_eq!((reject.field.as_deref(), reject.code), (Some("rejected"), Code::MissingField));
    assert!(reject.message.contains("there is `reject`"), "{}", reject.message);
}
