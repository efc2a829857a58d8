//! No second copy of a formula: what `ops` computes, no other crate computes for itself.

use std::{fs, path::Path};

/// What a formula of `ops` looks like when somebody writes it again, and what to call instead.
const FORMULAS: &[(&str, &str)] = &[
    ("log_softmax", "ops::selected"),
    ("softmax(", "ops::selected"),
    ("logsumexp", "ops::stable::log_sum_exp"),
    (".exp().sum", "ops::stable::log_sum_exp"),
    ("log_sigmoid", "ops::stable::log_sigmoid"),
    (".sigmoid(", "ops::stable"),
    (".log1p(", "ops::stable::log1p"),
    ("exp() - 1", "ops::stable::expm1"),
    (".exp().sub_scalar", "ops::stable::expm1"),
    (".exp()).sum", "ops::host::log_softmax"),
    ("kl_div", "ops::kl"),
    ("mask.clone().float()", "ops::masked or ops::TokenLogps::sequence"),
    ("* mask", "ops::masked: a product keeps NaN alive"),
    (".var(", "ops::masked::masked_var or ops::groups"),
    // Not `whiten` alone: that is what settings of estimators are called.
    ("fn whiten(", "ops::masked::masked_whiten"),
    ("fn masked_whiten", "ops::masked::masked_whiten"),
    (" / 0.", "multiply by the reciprocal: burn takes this gradient through f32"),
];

/// How a line shows that it calls `ops`.
const CALLS: &[&str] = &["accordant_ops", "host::", "stable::"];

/// Lines of the files below `folder` that hold a formula; comments and tests may name what they like.
fn copies(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            copies(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !["tests.rs", "traps.rs"].iter().any(|tests| path.ends_with(tests))
        {
            let text = fs::read_to_string(&path).expect("a source file");
            found.extend(copies_in(&path.to_string_lossy().replace('\\', "/"), &text));
        }
    }
}

fn copies_in(path: &str, text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().expect("a first part");
    let mut found = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let line = line.trim();
        if line.starts_with("//") {
            continue;
        }
        for (formula, instead) in FORMULAS.iter().filter(|(formula, _)| line.contains(formula)) {
            // By its path, or by its name after `use accordant_ops::..::name`.
            let imported = imports(code).any(|import| import.contains("accordant_ops") && import.contains(formula));
            if !imported && !CALLS.iter().any(|call| line.contains(call)) {
                found.push(format!("{path}:{}: `{formula}` in `{line}`; use {instead}", number + 1));
            }
        }
    }
    found
}

/// The `use` items of a file.
fn imports(code: &str) -> impl Iterator<Item = &str> {
    code.split("\nuse ").skip(1).filter_map(|rest| rest.split(';').next())
}

#[test]
fn no_other_crate_has_formulas_of_ops() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut searched = 0;
    for entry in fs::read_dir(root.join("crates")).expect("the crates") {
        let folder = entry.expect("a crate").path();
        if !folder.ends_with("ops") {
            copies(&folder.join("src"), &mut found);
            searched += 1;
        }
    }
    copies(&root.join("src"), &mut found);
    assert!(searched >= 5, "the crates lie elsewhere");
    assert!(found.is_empty(), "copies of formulas of `ops`:\n{}", found.join("\n"));
}

#[test]
fn a_copy_is_found_and_a_comment_is_none() {
    let text = "let p = log_softmax(x, 1);\n// log_softmax\nuse accordant_ops::stable::log_sigmoid;\n";
    assert_eq!(copies_in("a.rs", text).len(), 2, "`softmax(` is in it too");
    let tested = "fn f() {}\n#[cfg(test)]\nmod tests {\n    log_softmax(x, 1)\n}";
    assert!(copies_in("a.rs", tested).is_empty());
}

/// The one place where unsafe code is allowed says why.
#[test]
fn unsafe_code_is_in_one_file() {
    fn search(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                search(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source file");
                if text.contains("unsafe {") || text.contains("unsafe_code") {
                    found.push(path.file_name().expect("a file").to_string_lossy().into_owned());
                }
            }
        }
    }
    let mut found = Vec::new();
    search(&Path::new(env!("CARGO_MANIFEST_DIR")).join("crates"), &mut found);
    assert_eq!(found, ["gemm.rs"]);
}
