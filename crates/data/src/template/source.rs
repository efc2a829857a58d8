//! Where a chat template comes from, and its source as the engine takes it.

use std::{fmt, path::PathBuf};

use serde::Serialize;

use super::Builtin;

/// Where a chat template comes from; displays as reports name it.
///
/// # Example
/// ```
/// use accordant_data::template::{Builtin, TemplateSource};
/// assert_eq!(TemplateSource::from(Builtin::ChatMl).to_string(), "the built-in template `chatml`");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub enum TemplateSource {
    /// A template of this crate.
    Builtin(Builtin),
    /// A file of its own.
    File(PathBuf),
    /// The tokenizer's configuration, and the template's name there.
    Config {
        /// The configuration.
        path: PathBuf,
        /// Its name, where it has several.
        name: Option<String>,
    },
    /// Given by the program under this name.
    Given(String),
}

impl fmt::Display for TemplateSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin(builtin) => write!(f, "the built-in template `{builtin}`"),
            Self::File(path) => write!(f, "`{}`", path.display()),
            Self::Config { path, name: None } => write!(f, "`chat_template` of `{}`", path.display()),
            Self::Config { path, name: Some(name) } => write!(f, "`chat_template` `{name}` of `{}`", path.display()),
            Self::Given(name) => write!(f, "the template `{name}`"),
        }
    }
}

impl From<Builtin> for TemplateSource {
    fn from(builtin: Builtin) -> Self {
        Self::Builtin(builtin)
    }
}

impl From<&str> for TemplateSource {
    fn from(name: &str) -> Self {
        Self::Given(name.into())
    }
}

/// The source as the engine takes it. Comments, `raw` blocks and texts in quotes stay as they are.
///
/// - Each `{% generation %}` block is a block of the filter `generation`, which keeps white space, scopes and loops.
/// - What `{% set %}` sets passes the filter `kept`: only what is set in a loop can grow without end.
pub(super) fn rewrite(source: &str, generation: &str, kept: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find('{') {
        let (before, tag) = rest.split_at(at);
        out.push_str(before);
        let len = if tag.starts_with("{#") {
            tag.find("#}").map_or(tag.len(), |end| end + 2)
        } else if tag.starts_with("{{") {
            tag_len(tag, "}}")
        } else if tag.starts_with("{%") {
            let len = tag_len(tag, "%}");
            match tag_word(tag.get(..len).unwrap_or(tag)) {
                Some("raw") => len + raw_len(tag.get(len..).unwrap_or_default()),
                Some("generation") => {
                    out.push_str(&tag.get(..len).unwrap_or(tag).replacen(
                        "generation",
                        &format!("filter {generation}"),
                        1,
                    ));
                    rest = tag.get(len..).unwrap_or_default();
                    continue;
                }
                Some("endgeneration") => {
                    out.push_str(&tag.get(..len).unwrap_or(tag).replacen("endgeneration", "endfilter", 1));
                    rest = tag.get(len..).unwrap_or_default();
                    continue;
                }
                Some("set") => {
                    let whole = tag.get(..len).unwrap_or(tag);
                    out.push_str(&filtered_set(whole, kept).unwrap_or_else(|| whole.to_owned()));
                    rest = tag.get(len..).unwrap_or_default();
                    continue;
                }
                _ => len,
            }
        } else {
            1
        };
        out.push_str(tag.get(..len).unwrap_or(tag));
        rest = tag.get(len..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// Whether a template has generation blocks.
pub(super) fn has_generation(source: &str) -> bool {
    rewrite(source, "", "").contains("{%") && rewrite(source, "a", "") != rewrite(source, "b", "")
}

/// `{% set a = b %}` as `{% set a = (b)|kept %}`; none for a block.
fn filtered_set(tag: &str, kept: &str) -> Option<String> {
    let equals = tag_len(tag, "=");
    let body = tag.get(equals..)?.strip_suffix("%}")?;
    let (body, control) = match body.strip_suffix(['-', '+']) {
        Some(shorter) => (shorter, body.get(shorter.len()..)?),
        None => (body, ""),
    };
    let target = tag.get(..equals)?;
    let in_namespace = if target.contains('.') { "(true)" } else { "" };
    Some(format!("{target}({body})|{kept}{in_namespace} {control}%}}"))
}

/// The length of a tag up to its end, which does not count inside quotes.
fn tag_len(tag: &str, end: &str) -> usize {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in tag.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '\'' || c == '"' => quote = Some(c),
            None if tag.get(at..).is_some_and(|rest| rest.starts_with(end)) => return at + end.len(),
            None => {}
        }
    }
    tag.len()
}

/// The word of a block tag, such as `for`.
fn tag_word(tag: &str) -> Option<&str> {
    let inside = tag.strip_prefix("{%")?.trim_start_matches(['-', '+']).trim_start();
    let len = inside.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(inside.len());
    inside.get(..len)
}

/// The length of what stands after `{% raw %}`, its end tag included.
fn raw_len(text: &str) -> usize {
    for (at, _) in text.match_indices("{%") {
        let tag = text.get(at..).unwrap_or_default();
        if tag_word(tag) == Some("endraw") {
            return at + tag_len(tag, "%}");
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d47_which_template_applies_is_said() {
        let names = [
            TemplateSource::File("a/chat_template.jinja".into()),
            TemplateSource::Config { path: "c.json".into(), name: None },
            TemplateSource::Config { path: "c.json".into(), name: Some("rag".into()) },
            "mine".into(),
        ];
        let said = [
            "`a/chat_template.jinja`",
            "`chat_template` of `c.json`",
            "`chat_template` `rag` of `c.json`",
            "the template `mine`",
        ];
        assert_eq!(names.map(|name| name.to_string()), said);
    }
    #[test]
    fn only_real_generation_tags_are_rewritten() {
        let rewrite = |source: &str| rewrite(source, "g", "k");
        assert_eq!(rewrite("{%- generation -%}a{%+ endgeneration +%}"), "{%- filter g -%}a{%+ endfilter +%}");
        for same in [
            "{# {% generation %} #}",
            "{{ '{% generation %}' }}",
            "{{ \"\\\"{% generation %}\" }}",
            "{% raw %}{% generation %}{%- endraw -%}",
            "{% set generation %}{% generations %}",
            "{ % generation % } {",
            "{% if '%}' %}",
            "{% raw %}{% generation %}",
            "{{ '",
            "{#",
            "é{é",
        ] {
            assert_eq!(rewrite(same), same);
        }
        assert_eq!(rewrite("{% raw %}{% endraw %}{%generation%}x"), "{% raw %}{% endraw %}{%filter g%}x");
        assert_eq!(rewrite("{{ '}}' }}{% generation %}"), "{{ '}}' }}{% filter g %}");
        assert!(has_generation("{%- generation %}{% endgeneration %}") && !has_generation("{% set generation = 1 %}"));
    }

    #[test]
    fn what_is_set_passes_a_filter() {
        let rewrite = |source: &str| rewrite(source, "g", "k");
        assert_eq!(rewrite("{%- set a.b = c == '%}=' -%}x"), "{%- set a.b =( c == '%}=' )|k(true) -%}x");
        assert_eq!(rewrite("{% set a, b = 1, 2 %}"), "{% set a, b =( 1, 2 )|k %}");
        for same in ["{% set a %}b{% endset %}", "{# {% set a = b %} #}", "{% setting = 1 %}", "{% set a = b"] {
            assert_eq!(rewrite(same), same);
        }
    }
}
