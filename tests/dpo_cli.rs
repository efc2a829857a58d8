//! The `dpo` example as a user meets it: what it prints, what it leaves behind, and what it says of bad input.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use flate2::{Compression, write::GzEncoder};
use tempfile::{TempDir, tempdir};

/// `cargo test` builds the examples beside the tests.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("a running program has a path");
    let path = test.ancestors().nth(2).expect("tests lie in target/<profile>/deps").join("examples/dpo");
    assert!(path.exists(), "{} is not built: run `cargo build --examples`, or `cargo test` as a whole", path.display());
    path
}

fn run(out: &Path, args: &[&str]) -> Output {
    Command::new(program()).args(args).arg("--out").arg(out).output().expect("the program starts")
}

/// Exit code and everything that was written to standard error.
fn failure(out: &Path, args: &[&str]) -> (Option<i32>, String) {
    let output = run(out, args);
    let text = String::from_utf8(output.stderr).expect("messages are UTF-8");
    assert!(!text.contains("panicked"), "{text}");
    assert!(!out.join("dpo.svg").exists() && !out.join("dpo.metrics.jsonl").exists(), "nothing looks complete: {text}");
    (output.status.code(), text)
}

fn row(number: usize) -> String {
    let prompt = format!("\\n\\nHuman: question {number}?\\n\\nAssistant:");
    format!("{{\"chosen\":\"{prompt} a good answer, number {number}\",\"rejected\":\"{prompt} no\"}}\n")
}

fn rows(count: usize) -> Vec<u8> {
    (0..count).map(row).collect::<String>().into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("writing to memory");
    encoder.finish().expect("writing to memory")
}

/// Runs on a training file of these bytes and a good held-out file; returns exit code, messages and the file's path.
fn with_data(name: &str, bytes: &[u8], more: &[&str]) -> (Option<i32>, String, String) {
    let folder = tempdir().unwrap();
    let (data, eval) = (folder.path().join(name), folder.path().join("eval.jsonl"));
    fs::write(&data, bytes).unwrap();
    fs::write(&eval, rows(4)).unwrap();
    let (data, eval) = (data.display().to_string(), eval.display().to_string());
    let args = [&["--short", "--data", &data, "--eval", &eval], more].concat();
    let (code, text) = failure(&folder.path().join("out"), &args);
    (code, text, data)
}

fn short_run(folder: &TempDir, name: &str, seed: &str) -> String {
    let out = folder.path().join(name);
    let output = run(&out, &["--short", "--seed", seed]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for file in ["dpo.svg", "dpo.metrics.jsonl", "dpo.tokenizer.json"] {
        assert!(out.join(file).exists(), "{file}");
    }
    String::from_utf8(output.stdout).unwrap().replace(&out.display().to_string(), "OUT")
}

#[test]
fn the_same_seed_prints_the_same_bytes() {
    let folder = tempdir().unwrap();
    let first = short_run(&folder, "first", "5");
    assert_eq!(first, short_run(&folder, "again", "5"));
    assert_ne!(first, short_run(&folder, "other", "6"));
    for text in ["win rate against SFT", "KL to SFT", "mean length", "pair accuracy", "gold reward"] {
        assert!(first.contains(text), "{text} in\n{first}");
    }
    let loss = first.split_once("dpo loss at step 0: ").and_then(|(_, rest)| rest.get(..9)).expect("the first loss");
    assert!((loss.parse::<f64>().unwrap() - std::f64::consts::LN_2).abs() < 1e-6, "{first}");
}

#[test]
fn files_plain_and_gzip_with_two_groups_run() {
    let folder = tempdir().unwrap();
    let (a, b) = (folder.path().join("alpha.train.jsonl"), folder.path().join("beta.train.jsonl.gz"));
    let extra = b"{\"chosen\":\"\\n\\nHuman: a\\n\\nAssistant: \",\"rejected\":\"\\n\\nHuman: a\\n\\nAssistant: b\"}\n";
    fs::write(&a, [rows(20), extra.to_vec()].concat()).unwrap();
    fs::write(&b, gzip(&rows(20))).unwrap();
    let (a, b) = (a.display().to_string(), b.display().to_string());
    let output =
        run(&folder.path().join("out"), &["--short", "--data", &a, &b, "--eval", &a, &b, "--objective", "ipo"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    for part in ["training: 41 rows, 40 accepted, 1 rejected", "E_EMPTY", "alpha", "beta", "ipo loss at step 0"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn bad_files_are_named_with_their_line() {
    let head = rows(2);
    let line_3 = |tail: &[u8]| [head.as_slice(), tail].concat();
    let long = [b"{\"chosen\":\"".as_slice(), &vec![b'x'; 50_000_000], b"\"}\n"].concat();
    let no_rejected = b"{\"chosen\":\"\\n\\nHuman: a\\n\\nAssistant: b\"}\n";
    let zipped = gzip(&rows(400));
    let cases: [(&str, Vec<u8>, &str, &str); 6] = [
        ("utf8.jsonl", line_3(b"{\"chosen\": \"\xff\"}\n"), ":3: E_UTF8", "UTF-8"),
        ("field.jsonl", line_3(no_rejected), ":3: E_MISSING_FIELD", "`rejected`"),
        ("list.jsonl", line_3(b"[1, 2]\n"), ":3: E_NOT_OBJECT", "object"),
        ("long.jsonl", line_3(&long), ":3: E_LINE_TOO_LONG", "16777216"),
        ("cut.jsonl.gz", zipped[..zipped.len() / 2].to_vec(), ": E_TRUNCATED", "compressed"),
        ("empty.jsonl", Vec::new(), "holds no record", "empty.jsonl"),
    ];
    for (name, bytes, code, detail) in cases {
        let (exit, text, path) = with_data(name, &bytes, &[]);
        assert_eq!(exit, Some(1), "{name}: {text}");
        assert!(text.contains(&path) && text.contains(code) && text.contains(detail), "{name}: {text}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let folder = tempdir().unwrap();
    let eval = folder.path().join("eval.jsonl");
    fs::write(&eval, rows(3)).unwrap();
    let missing = folder.path().join("nowhere.jsonl").display().to_string();
    let args = ["--short", "--data", &missing, "--eval", &eval.display().to_string()];
    let (exit, text) = failure(&folder.path().join("out"), &args);
    assert_eq!(exit, Some(1));
    assert!(text.contains(&missing) && text.contains("No such file"), "{text}");
}

#[test]
fn malformed_rows_are_left_out_when_asked() {
    let bytes = [rows(20), b"[1]\n".to_vec()].concat();
    let folder = tempdir().unwrap();
    let data = folder.path().join("a.jsonl");
    fs::write(&data, bytes).unwrap();
    let data = data.display().to_string();
    let args = ["--short", "--skip-malformed", "--data", &data, "--eval", &data];
    let output = run(&folder.path().join("out"), &args);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("21 rows, 20 accepted, 1 rejected"), "{text}");
}

#[test]
fn settings_that_make_no_sense_are_usage_errors() {
    let folder = tempdir().unwrap();
    for (args, message) in [
        (&["--beta", "0"][..], "`beta`: expected finite and > 0, got 0"),
        (&["--beta", "NaN"], "`beta`: expected a finite number, got NaN"),
        (&["--beta", "-1"], "`beta`: expected finite and > 0, got -1"),
        (&["--max-length", "2"], "2 is not in 16..=65536"),
        (&["--objective", "dppo"], "no method is called `dppo`; there are: "),
        (&["--set", "betta=1"], "`dpo` has no option `betta`; it has: beta, label_smoothing, reference_free"),
        (&["--set", "beta"], "expected FIELD=VALUE"),
        (&["--vocab-size", "100"], "100 is not in 262..=1000000"),
        (&["--vocab-size", "18446744073709551615"], "is not in 262..=1000000"),
        (&["--hidden-size", "30"], "`hidden_size` = 30: expected a multiple of 2 · `num_heads` = 8"),
        (&["--batch-size", "0"], "`batch_size`: expected at least 1, got 0"),
        (&["--steps", "0"], "`steps`: expected at least 1, got 0"),
        (&["--learning-rate", "inf"], "`learning_rate`: expected finite and > 0, got inf"),
        (&["--device", "abacus"], "no backend is called `abacus`"),
        (&["--data", "a.jsonl"], "--eval"),
    ] {
        let (exit, text) = failure(&folder.path().join("out"), args);
        assert_eq!(exit, Some(2), "{args:?}: {text}");
        assert!(text.contains(message), "{args:?}: {text}");
    }
    assert!(!folder.path().join("out").exists(), "usage errors make no folder");
}

#[test]
fn an_output_folder_that_cannot_be_written_is_named_before_any_work() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let (exit, text) = failure(&file.join("out"), &["--short"]);
    assert_eq!(exit, Some(1));
    assert!(text.contains("cannot write") && text.contains(&file.display().to_string()), "{text}");
}

#[test]
fn help_explains_every_flag() {
    let output = Command::new(program()).arg("--help").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("SFT, then preference optimization"), "{text}");
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let flags: Vec<usize> = (0..lines.len()).filter(|line| lines[*line].starts_with("--")).collect();
    assert!(flags.len() >= 20, "{text}");
    for line in flags {
        // The explanation stands after two spaces, or on the next line.
        let (flag, here) = lines[line].split_once("  ").unwrap_or((lines[line], ""));
        let below = lines.get(line + 1).filter(|next| !next.starts_with('-')).copied().unwrap_or("");
        assert!(!here.trim().is_empty() || !below.is_empty(), "{flag} is not explained:\n{text}");
    }
    for flag in ["--data", "--eval", "--objective", "--beta", "--set", "--steps", "--seed", "--out", "--max-length"] {
        assert!(text.contains(flag), "{flag}");
    }
}
