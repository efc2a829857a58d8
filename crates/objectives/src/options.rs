//! Options of a method chosen by name, as `key=value` texts.

use burn::config::Config;
use serde_json::{Map, Value};

use crate::{Error, Result};

/// Settings for a method that is chosen at run time, each the name of a field of its configuration and a value.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Options(Vec<(String, String)>);

impl Options {
    /// No setting: every field keeps its default.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a setting; the value is read as the field's type when the method is built.
    pub fn with(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.0.push((name.into(), value.to_string()));
        self
    }

    /// The settings whose name `own` accepts, and the others.
    pub(crate) fn split(&self, own: impl Fn(&str) -> bool) -> (Self, Self) {
        let (own, others) = self.0.iter().cloned().partition(|(name, _)| own(name));
        (Self(own), Self(others))
    }

    /// The settings called `prefix.name`, as settings of `name`, and all others: a method made of methods hands the
    /// former on.
    pub(crate) fn nested(&self, prefix: &str) -> (Self, Self) {
        let inner = |name: &str| Some(name.strip_prefix(prefix)?.strip_prefix('.')?.to_owned());
        let (own, others) = self.split(|name| inner(name).is_some());
        let own = own.0.into_iter().filter_map(|(name, value)| Some((inner(&name)?, value)));
        (Self(own.collect()), others)
    }

    /// Takes out the settings of a wrapped method: what `base` names it, and its settings `base.x`, without the prefix.
    pub(crate) fn take_base(&self) -> (Option<&str>, Self, Self) {
        let base = self.0.iter().rev().find(|(name, _)| name == "base").map(|(_, value)| value.as_str());
        let (of_base, others) = self.nested("base");
        let (_, own) = others.split(|name| name == "base");
        (base, of_base, own)
    }

    /// `default` with these settings in place.
    ///
    /// # Errors
    /// [`Error::UnknownOption`] names a field that the configuration does not have, [`Error::OptionValue`] a value that
    /// its type does not take; NaN and infinities are no values. Domains are the configuration's own business.
    pub fn apply<C: Config>(&self, method: &'static str, default: C) -> Result<C> {
        let mut fields = fields(&default);
        for (name, text) in &self.0 {
            let Some(field) = fields.get_mut(name) else {
                let known = fields.keys().cloned().collect();
                return Err(Error::UnknownOption { method, got: name.clone(), known });
            };
            let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()));
            if field.is_number() && !value.is_number() {
                let expected = "a finite number".to_owned();
                return Err(Error::OptionValue { name: name.clone(), expected, got: text.clone() });
            }
            let old = std::mem::replace(field, value);
            // Read after each setting, so that the error belongs to it.
            if let Err(error) = read::<C>(&fields) {
                let expected = format!("a value like {old} ({error})");
                return Err(Error::OptionValue { name: name.clone(), expected, got: text.clone() });
            }
        }
        Ok(read(&fields).expect("the fields were read after the last setting"))
    }
}

fn fields<C: Config>(config: &C) -> Map<String, Value> {
    match serde_json::to_value(config).expect("a configuration is plain data") {
        Value::Object(fields) => fields,
        _ => unreachable!("a configuration struct serializes to an object"),
    }
}

fn read<C: Config>(fields: &Map<String, Value>) -> serde_json::Result<C> {
    serde_json::from_value(Value::Object(fields.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairwise::{dpo::DpoConfig, ipo::IpoConfig};

    #[test]
    fn a_setting_replaces_the_default_and_nothing_else() {
        let config = Options::new().with("beta", 0.25).apply("dpo", DpoConfig::new()).unwrap();
        assert_eq!((config.beta, config.label_smoothing), (0.25, 0.0));
    }

    #[test]
    fn settings_of_a_part_are_told_apart_by_their_prefix() {
        let options = Options::new().with("dpo.beta", 0.5).with("beta", 1).with("dpo.inner.beta", 2).with("dpobeta", 3);
        let (own, others) = options.nested("dpo");
        assert_eq!(own, Options::new().with("beta", 0.5).with("inner.beta", 2));
        assert_eq!(others, Options::new().with("beta", 1).with("dpobeta", 3));
    }

    #[test]
    fn an_unknown_option_lists_the_known_ones() {
        let error = Options::new().with("betta", 0.1).apply("ipo", IpoConfig::new()).unwrap_err();
        assert_eq!(error.to_string(), "`ipo` has no option `betta`; it has: beta, length");
    }

    #[test]
    fn nan_is_not_a_number() {
        let error = Options::new().with("beta", f64::NAN).apply("dpo", DpoConfig::new()).unwrap_err();
        assert_eq!(error.to_string(), "`beta`: expected a finite number, got NaN");
    }

    #[test]
    fn a_wrong_enum_value_says_which_there_are() {
        let error = Options::new().with("length", "Median").apply("ipo", IpoConfig::new()).unwrap_err().to_string();
        assert!(error.contains("`length`") && error.contains("TokenMean") && error.contains("Sum"), "{error}");
    }
}
