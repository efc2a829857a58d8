//! Shows in a terminal which tokens are learned, with colors and without.

use std::fmt::Write;

use crate::{Result, hf::HfTokenizer, rows::TokenRow};

/// How a row is shown. What is learned stands between « and » either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// Text alone.
    #[default]
    Plain,
    /// What is learned in green, the rest faint.
    Color,
}

/// The row's text in one line, what is learned of it between « and ». A line feed is `↵`; other control characters are
/// escaped, so that no text can command the terminal.
///
/// # Errors
/// [`crate::Error::Tokenizer`] as the library reports it.
///
/// # Example
/// ```no_run
/// use accordant_data::{encode::explain::{explain, Style}, hf::HfTokenizer, rows::TokenRow};
/// let tokenizer = HfTokenizer::load("models/my-model")?;
/// let row = TokenRow::of(&tokenizer.encode("The sky is", false)?, &tokenizer.encode(" blue.", false)?);
/// println!("{}", explain(&tokenizer, &row, Style::Plain)?); // 2 of 5 tokens are learned: The sky is« blue.»
/// # Ok::<(), accordant_data::Error>(())
/// ```
pub fn explain(tokenizer: &HfTokenizer, row: &TokenRow, style: Style) -> Result<String> {
    let mut out = format!("{} of {} tokens are learned: ", learned(row), row.ids.len());
    let mut start = 0;
    while start < row.ids.len() {
        let scored = is_learned(row, start);
        let end = (start..row.ids.len()).find(|at| is_learned(row, *at) != scored).unwrap_or(row.ids.len());
        let text = shown(&tokenizer.decode(row.ids.get(start..end).unwrap_or_default(), false)?);
        out.push_str(&match (scored, style) {
            (true, Style::Plain) => format!("«{text}»"),
            (true, Style::Color) => format!("\u{1b}[32m«{text}»\u{1b}[0m"),
            (false, Style::Plain) => text,
            (false, Style::Color) => format!("\u{1b}[2m{text}\u{1b}[0m"),
        });
        start = end;
    }
    Ok(out)
}

/// The row's tokens, one a line: place, `*` where it is learned, id, text.
///
/// # Errors
/// As [`explain`].
pub fn explain_tokens(tokenizer: &HfTokenizer, row: &TokenRow) -> Result<String> {
    let mut out = String::from("place    id learned  text\n");
    for (place, id) in row.ids.iter().enumerate() {
        let mark = if is_learned(row, place) { "*" } else { "" };
        let text = shown(&tokenizer.decode(&[*id], false)?);
        // Writing to a string does not fail.
        let _ = writeln!(out, "{place:>5} {id:>5} {mark:>7}  \"{text}\"");
    }
    Ok(out)
}

fn is_learned(row: &TokenRow, at: usize) -> bool {
    row.mask.get(at).copied().unwrap_or(false)
}

fn learned(row: &TokenRow) -> usize {
    (0..row.ids.len()).filter(|at| is_learned(row, *at)).count()
}

fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push('↵'),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}
