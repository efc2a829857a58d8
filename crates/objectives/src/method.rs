//! Methods that are chosen by name.

use crate::{Error, Options, Result};

/// A method of the family whose objectives are `O`, as a value: the file that implements a method declares one.
#[derive(Debug)]
pub struct Method<O: ?Sized> {
    /// Its name: the file's.
    pub name: &'static str,
    /// Its full name.
    pub title: &'static str,
    /// Builds it from its default configuration with some options replaced.
    pub build: fn(&Options) -> Result<Box<O>>,
}

/// Builds the method called `name`, one of `methods`.
pub(crate) fn build<O: ?Sized>(methods: &'static [Method<O>], name: &str, options: &Options) -> Result<Box<O>> {
    match methods.iter().find(|method| method.name == name) {
        Some(method) => (method.build)(options),
        None => Err(Error::UnknownMethod {
            got: name.to_owned(),
            known: methods.iter().map(|method| method.name).collect(),
        }),
    }
}
