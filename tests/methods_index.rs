//! `docs/methods.md` is made from the headers of the methods' files and from what the methods say of themselves,
//! `docs/models.md` from the headers of the preference models' files.
//!
//! When a test fails it prints the lines that are missing; `ACCORDANT_WRITE=1 cargo test --test methods_index` writes the
//! files.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use accordant::objectives::{
    Options, advantage, listwise, pairwise,
    rollout::{self, surrogate},
    unpaired,
};

/// What one file says of its method.
#[derive(Debug, Default)]
struct Header {
    title: String,
    fields: BTreeMap<String, String>,
}

impl Header {
    /// The first paragraph, and the paragraphs' `**Field:**` items.
    fn parse(text: &str) -> Self {
        let lines = text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
        let (mut header, mut open) = (Self::default(), None::<String>);
        for line in lines {
            if let Some((field, rest)) = line.strip_prefix("**").and_then(|line| line.split_once(":**")) {
                header.fields.insert(field.to_owned(), rest.trim().to_owned());
                open = Some(field.to_owned());
            } else if line.is_empty() {
                open = Some(String::new());
            } else if let Some(field) = &open {
                if let Some(value) = header.fields.get_mut(field) {
                    *value = format!("{value} {line}");
                }
            } else {
                header.title = format!("{} {line}", header.title).trim().to_owned();
            }
        }
        header.title = header.title.trim_end_matches('.').to_owned();
        header
    }

    fn field(&self, name: &str) -> &str {
        let several = || self.fields.get(&format!("{name}s"));
        self.fields.get(name).or_else(several).map_or("", |value| value.trim_end_matches('.'))
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The modules of a family in the order of its `mod.rs`, with the text of their files.
fn files(family: &str) -> Vec<(String, String)> {
    files_in(&root().join("crates/objectives/src").join(family))
}

fn files_in(folder: &Path) -> Vec<(String, String)> {
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let modules = read(&folder.join("mod.rs"));
    let names = modules.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    // A folder is a family of its own.
    let paths = names.map(|name| (name, folder.join(format!("{name}.rs")))).filter(|(_, path)| path.exists());
    paths.map(|(name, path)| (name.to_owned(), read(&path))).collect()
}

/// What a method's file calls it.
fn method_name(text: &str) -> &str {
    let (_, method) = text.split_once("pub const METHOD: Method").expect("a method's file");
    let (_, rest) = method.split_once("name: \"").expect("a method has a name");
    rest.split_once('"').expect("a name ends").0
}

/// What a method consumes beside log-probabilities, and whether it needs a reference.
struct Needs {
    reference: bool,
    sides: Vec<&'static str>,
}

fn needs(family: &str, name: &str) -> Needs {
    let options = Options::new();
    match family {
        "pairwise" => {
            let method = pairwise::build(name, &options).expect("defaults are valid");
            let columns = method.columns().into_iter().map(|column| column.name);
            let extras = method.extras().into_iter().map(|extra| extra.name);
            let terms = method.terms().into_iter().map(|term| term.name);
            Needs { reference: method.needs_reference(), sides: columns.chain(extras).chain(terms).collect() }
        }
        "unpaired" => {
            let method = unpaired::build(name, &options).expect("defaults are valid");
            let mut sides: Vec<_> = method.columns().into_iter().map(|column| column.name).collect();
            sides.extend(method.needs_kl_baseline().then_some("kl_baseline"));
            sides.extend(method.needs_reference_kl().then_some("reference_kl"));
            Needs { reference: method.needs_reference(), sides }
        }
        "listwise" => {
            let method = listwise::build(name, &options).expect("defaults are valid");
            let mut sides = vec!["scores"];
            sides.extend(method.columns().into_iter().chain(method.candidate_columns()).map(|column| column.name));
            sides.extend(method.needs_answer().then_some("answer"));
            Needs { reference: method.needs_reference(), sides }
        }
        "rollout" => {
            let method = rollout::build(name, &options).expect("defaults are valid");
            let mut sides: Vec<_> = method.reward_columns().into_iter().map(|column| column.name).collect();
            sides.extend(method.columns().into_iter().map(|column| column.name));
            sides.extend(method.needs_values().then_some("values"));
            sides.extend(method.needs_entropies().then_some("entropies"));
            sides.extend(method.needs_groups().then_some("groups"));
            Needs { reference: method.needs_reference(), sides }
        }
        "advantage" => {
            let method = advantage::build(name, &options).expect("defaults are valid");
            let mut sides: Vec<_> = method.columns().into_iter().map(|column| column.name).collect();
            sides.extend(method.needs_values().then_some("values"));
            sides.extend(method.needs_sum_sq_probs().then_some("sum_sq_probs"));
            Needs { reference: false, sides }
        }
        "rollout/surrogate" => {
            surrogate::build(name, &options).expect("defaults are valid");
            Needs { reference: false, sides: Vec::new() }
        }
        other => unreachable!("`{other}` is no family"),
    }
}

const FAMILIES: [(&str, &str, &str); 9] = [
    ("pairwise", "Pairs", "a chosen and a rejected response to one prompt"),
    ("unpaired", "Single labels", "a response and whether it is desirable"),
    ("listwise", "Lists", "several responses to one prompt, with scores"),
    ("rollout", "Rollouts", "responses that the policy has sampled, with their rewards"),
    ("advantage", "Advantages", "the rewards of a whole batch of rollouts"),
    ("rollout/surrogate", "Surrogates", "importance ratios and advantages of tokens"),
    ("reward_shaping", "Rewards", "numbers of verifiers and judges on the host"),
    ("value", "Critics", "predictions of returns"),
    ("supervised", "Tokens", "log-probabilities or logits of tokens"),
];

/// A cell of a table: links between items of the code become their text.
fn cell(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, link)) = rest.split_once("[`") {
        let Some((name, after)) = link.split_once("`]") else { break };
        let target = after.strip_prefix('(').and_then(|after| after.split_once(')'));
        rest = target.map_or(after, |(_, after)| after);
        out += &format!("{before}`{}`", name.trim_start_matches("super::"));
    }
    (out + rest).replace('|', "\\|")
}

fn document() -> String {
    let mut out = String::from(
        "# Methods\n\nMade from the headers of the files by `tests/methods_index.rs`; do not edit. A method is chosen by \
         its name\n(`pairwise::build(\"dpo\", ..)`, `--objective dpo` in the examples) or built from its configuration; \
         its file has\nequation, shapes, defaults with their origin, and tests.\n",
    );
    for (family, title, data) in FAMILIES {
        let files = files(family);
        let (methods, helpers): (Vec<_>, Vec<_>) =
            files.iter().partition(|(_, text)| text.contains("pub const METHOD: Method"));
        out += &format!("\n## {title} (`objectives::{}`): {data}\n\n", family.replace('/', "::"));
        if !methods.is_empty() {
            out += "| method | full name | paper | reads, beside log-probabilities | reference? | checked by |\n";
            out += "|---|---|---|---|---|---|\n";
        }
        let methods_are_empty = methods.is_empty();
        for (name, text) in methods {
            let header = Header::parse(text);
            let needs = needs(family, method_name(text));
            let sides = match needs.sides.is_empty() {
                true => "-".to_owned(),
                false => needs.sides.iter().map(|side| format!("`{side}`")).collect::<Vec<_>>().join(", "),
            };
            let status = match header.field("Status") {
                "" => String::new(),
                status => format!(" **{status}.**"),
            };
            out += &format!(
                "| [`{name}`](../crates/objectives/src/{family}/{name}.rs) | {}{} | {} | {sides} | {} | {} |\n",
                cell(&header.title),
                cell(&status),
                cell(header.field("Paper")),
                if needs.reference { "yes" } else { "no" },
                cell(header.field("Checked by")),
            );
        }
        if !methods_are_empty {
            out += "\nBeside the methods:\n\n";
        }
        out += "| module | what it holds | paper |\n|---|---|---|\n";
        for (name, text) in helpers {
            let header = Header::parse(text);
            let paper = match header.field("Paper") {
                "" => "-",
                paper => paper,
            };
            out += &format!(
                "| [`{name}`](../crates/objectives/src/{family}/{name}.rs) | {} | {} |\n",
                cell(&header.title),
                cell(paper)
            );
        }
    }
    out
}

const MODELS: [(&str, &str); 13] = [
    ("pairwise", "Judged pairs, given scores"),
    ("listwise", "Ranked lists and choices, given scores"),
    ("ranking", "The items of a table, from who beat whom"),
    ("plural", "Many choosers"),
    ("general", "Preferences that may go in circles, and social choice"),
    ("multi_objective", "Rewards of several attributes or features"),
    ("distributional", "Distributions of ratings and scores, and their risk"),
    ("robust", "Labels that may be wrong"),
    ("trajectory", "Segments of behavior, and response times"),
    ("process", "Steps of a solution"),
    ("implicit", "Policies, judges and replies as rewards"),
    ("uncertainty", "How sure a model is, and what to ask about next"),
    ("measurement", "What preferences say about whoever has them"),
];

/// The preference models of one module, with the text of their files.
fn models(family: &str) -> Vec<(String, String)> {
    files_in(&root().join("crates/preference/src").join(family))
}

fn model_document() -> String {
    let mut out = String::from(
        "# Preference models\n\nMade from the headers of the files by `tests/methods_index.rs`; do not edit. A file has the \
         model's equation, shapes,\ndefaults with their origin, and tests.\n",
    );
    for (family, title) in MODELS {
        let files = models(family);
        let (models, helpers): (Vec<_>, Vec<_>) = files
            .iter()
            .map(|(name, text)| (name, Header::parse(text)))
            .partition(|(_, header)| !header.field("Paper").is_empty());
        out += &format!("\n## {title} (`preference::{family}`)\n\n");
        out += "| model | full name | paper | use when | checked by |\n|---|---|---|---|---|\n";
        for (name, header) in models {
            let status = match header.field("Status") {
                "" => String::new(),
                status => format!(" **{status}.**"),
            };
            out += &format!(
                "| [`{name}`](../crates/preference/src/{family}/{name}.rs) | {}{} | {} | {} | {} |\n",
                cell(&header.title),
                cell(&status),
                cell(header.field("Paper")),
                cell(header.field("Use when")),
                cell(header.field("Checked by")),
            );
        }
        if !helpers.is_empty() {
            out += "\nBeside the models:\n\n| module | what it holds |\n|---|---|\n";
        }
        for (name, header) in helpers {
            out += &format!("| [`{name}`](../crates/preference/src/{family}/{name}.rs) | {} |\n", cell(&header.title));
        }
    }
    out
}

#[test]
fn the_list_of_methods_is_up_to_date() {
    check_document("docs/methods.md", &document());
}

#[test]
fn the_list_of_preference_models_is_up_to_date() {
    check_document("docs/models.md", &model_document());
}

#[test]
fn every_module_of_preference_models_is_listed() {
    let folder = root().join("crates/preference/src");
    let entries = fs::read_dir(&folder).expect("the crate is there");
    let modules = entries.filter_map(|entry| {
        let name = entry.ok()?.file_name().into_string().ok()?;
        let is_family = folder.join(&name).join("mod.rs").exists();
        is_family.then_some(name)
    });
    let missing: Vec<_> = modules.filter(|name| MODELS.iter().all(|(family, _)| family != name)).collect();
    assert!(missing.is_empty(), "MODELS lacks {missing:?}");
}

#[test]
fn every_preference_model_says_where_it_comes_from_and_how_it_is_checked() {
    let mut wrong = Vec::new();
    for (family, _) in MODELS {
        for (name, text) in models(family) {
            let header = Header::parse(&text);
            if header.title.is_empty() {
                wrong.push(format!("{family}/{name}.rs: no title"));
            }
            if header.field("Paper").is_empty() {
                continue;
            }
            for field in ["Use when", "Checked by", "Deviations"] {
                if header.field(field).is_empty() {
                    wrong.push(format!("{family}/{name}.rs: no `**{field}:**`"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn check_document(name: &str, expected: &str) {
    let path = root().join(name);
    if std::env::var_os("ACCORDANT_WRITE").is_some() {
        fs::write(&path, expected).expect("the documentation is writable");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let has = |text: &str, line: &str| text.lines().any(|other| other == line);
    let missing: Vec<_> = expected.lines().filter(|line| !has(&found, line)).collect();
    let stale: Vec<_> = found.lines().filter(|line| !has(expected, line)).collect();
    assert!(
        found == expected,
        "{name} is not what the files say (ACCORDANT_WRITE=1 writes it)\nmissing:\n{}\nstale:\n{}",
        missing.join("\n"),
        stale.join("\n")
    );
}

#[test]
fn every_method_says_where_it_comes_from_and_how_it_is_checked() {
    let mut wrong = Vec::new();
    for (family, ..) in FAMILIES {
        for (name, text) in files(family).iter().filter(|(_, text)| text.contains("pub const METHOD: Method")) {
            let header = Header::parse(text);
            for field in ["Paper", "Use when", "Checked by", "Deviations"] {
                if header.field(field).is_empty() {
                    wrong.push(format!("{family}/{name}.rs: no `**{field}:**`"));
                }
            }
            // The arXiv id of the header is what the documentation's search should find.
            for id in header.field("Paper").split([' ', ',', ';', '(', ')']).filter(|word| is_arxiv_id(word)) {
                if !text.contains(&format!("#[doc(alias = \"{id}\")]")) {
                    wrong.push(format!("{family}/{name}.rs: no `#[doc(alias = \"{id}\")]`"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn is_arxiv_id(word: &str) -> bool {
    let digits = |part: &str, len: std::ops::RangeInclusive<usize>| {
        len.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    word.split_once('.').is_some_and(|(month, number)| digits(month, 4..=4) && digits(number, 4..=5))
}

#[test]
fn a_header_is_read_to_its_end() {
    let header = Header::parse(
        "//! A method\n//! of two lines.\n//!\n//! **Paper:** one,\n//! two.\n//! **Use when:** x.\n\nfn f() {}\n//! no",
    );
    assert_eq!(
        (header.title.as_str(), header.field("Paper"), header.field("Use when")),
        ("A method of two lines", "one, two", "x")
    );
    assert_eq!(cell("as [`a`](super::a), [`super::b`] | c"), "as `a`, `b` \\| c");
    assert!(is_arxiv_id("2305.18290") && !is_arxiv_id("0.1") && !is_arxiv_id("2023"));
}
