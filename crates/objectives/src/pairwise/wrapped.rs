//! Methods inside a method: those that add a term to any other, or mix it with itself.

use burn::config::Config;

use super::{PairwiseObjective, build};
use crate::{Error, Options, Result};

/// What a wrapping method is built from when it is chosen by name: the method that the option `base` names (`dpo`
/// without it) with the options `base.x` as its `x`, and the wrapper's own configuration with the other options.
pub(super) fn from_options<C: Config>(
    method: &'static str,
    options: &Options,
    default: C,
) -> Result<(Box<dyn PairwiseObjective>, C)> {
    let (name, of_base, own) = options.take_base();
    let config = own.apply(method, default).map_err(|error| match error {
        Error::UnknownOption { method, got, mut known } => {
            known.extend(["base".to_owned(), "base.*".to_owned()]);
            Error::UnknownOption { method, got, known }
        }
        other => other,
    })?;
    Ok((build(name.unwrap_or("dpo"), &of_base)?, config))
}

/// What a wrapped method declares, and what its wrapper adds, each once.
pub(super) fn merged<T: PartialEq>(mut base: Vec<T>, own: impl IntoIterator<Item = T>) -> Vec<T> {
    for item in own {
        if !base.contains(&item) {
            base.push(item);
        }
    }
    base
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairwise::dpo::DpoConfig;

    #[test]
    fn options_of_the_base_have_its_name_as_prefix() {
        let options = Options::new().with("base", "ipo").with("base.beta", 0.5).with("beta", 0.25);
        let (base, config) = from_options("wrapper", &options, DpoConfig::new()).unwrap();
        assert_eq!(config.beta, 0.25);
        assert_eq!(format!("{base:?}"), "Ipo { config: IpoConfig { beta: 0.5, length: TokenMean } }");
        let (base, _) = from_options("wrapper", &Options::new(), DpoConfig::new()).unwrap();
        assert!(format!("{base:?}").starts_with("Dpo "), "{base:?}");
    }

    #[test]
    fn unknown_names_are_errors_that_say_what_there_is() {
        let fail = |name: &str, value: &str| {
            from_options("wrapper", &Options::new().with(name, value), DpoConfig::new()).unwrap_err().to_string()
        };
        assert!(fail("basis", "ipo").starts_with("`wrapper` has no option `basis`"));
        assert!(fail("based", "ipo").ends_with("reference_free, base, base.*"), "{}", fail("based", "ipo"));
        assert!(fail("base", "nonesuch").starts_with("no method is called `nonesuch`"));
        assert!(fail("base.gamma", "1").starts_with("`dpo` has no option `gamma`"));
        assert!(fail("beta", "x").starts_with("`beta`"), "other errors stay as they are");
    }

    #[test]
    fn what_both_declare_is_there_once() {
        assert_eq!(merged(vec![1, 2], [2, 3]), [1, 2, 3]);
    }
}
