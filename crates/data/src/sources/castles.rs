//! Castles: how people spread 100 soldiers over ten castles, in FiveThirtyEight's Riddler.
//!
//! **Origin:** `fivethirtyeight/data`, `riddler-castles/castle-solutions.csv`, CC BY 4.0.
//! **Format:** CSV; `Castle 1` to `Castle 10` and the reason, a quoted text that may have several lines or be absent.
//! **Records:** none: a row is a strategy, and preferences arise where two strategies meet. The game itself is
//! Colonel Blotto's, in the crate of preference models.

use std::path::Path;

use crate::{
    error::Result,
    read::{LoadOptions, read_jsonl},
    record::Fields,
    report::{Code, LoadReport, Reason},
};

/// Castles in the game.
pub const CASTLES: usize = 10;

/// One person's strategy.
#[derive(Debug, Clone, PartialEq)]
pub struct Strategy {
    /// Soldiers sent to each castle, at least 0; castle `k` is worth `k` points, and they sum to 100.
    pub soldiers: [f64; CASTLES],
    /// Why.
    pub reason: Option<String>,
}

/// Reads the strategies.
///
/// # Errors
/// Those of [`read_jsonl`]. A row whose soldiers are not ten numbers of at least 0 that sum to 100 is a reject.
///
/// # Example
/// ```
/// use accordant_data::{LoadOptions, sources::castles::read_strategies};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("castles.csv");
/// let header: String = (1..=10).map(|k| format!("Castle {k},")).collect();
/// std::fs::write(&path, format!("{header}Why?\n100,0,0,0,0,0,0,0,0,0,\"I am\nnumber one\"\n"))?;
/// let (strategies, report) = read_strategies(&path, &LoadOptions::default())?;
/// assert_eq!((strategies[0].soldiers[0], report.lines), (100.0, 1));
/// assert_eq!(strategies[0].reason.as_deref(), Some("I am\nnumber one"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_strategies(path: impl AsRef<Path>, options: &LoadOptions) -> Result<(Vec<Strategy>, LoadReport)> {
    read_jsonl(path, options, |row| strategy(row.fields))
}

fn strategy(mut row: Fields<'_>) -> Result<Strategy, Reason> {
    let mut soldiers = [0.0; CASTLES];
    for (k, sent) in (1..).zip(&mut soldiers) {
        let name = format!("Castle {k}");
        *sent = row.need_f64(&name)?;
        crate::record::check_number(&name, *sent, 0.0, 100.0)?;
    }
    let total: f64 = soldiers.iter().sum();
    if (total - 100.0).abs() > 1e-9 {
        return Err(Reason::new(Code::Range, format!("expected 100 soldiers, found {total}")));
    }
    let reason = row.names().find(|name| name.starts_with("Why")).map(str::to_owned);
    Ok(Strategy { soldiers, reason: reason.map(|name| row.string(&name)).transpose()?.flatten() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn soldiers_that_are_lacking_or_too_many_are_rejects() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("castles.csv");
        let header: String = (1..=10).map(|k| format!("Castle {k},")).collect();
        let rows = "10,10,10,10,10,10,10,10,10,10,\n11,10,10,10,10,10,10,10,10,10,x\n-10,20,10,10,10,10,10,10,20,10,x\n,,,,,,,,,100,x";
        std::fs::write(&path, format!("{header}Why did you?\n{rows}")).unwrap();
        let options = LoadOptions { max_reject_fraction: 1.0, ..LoadOptions::default() };
        let (strategies, report) = read_strategies(&path, &options).unwrap();
        assert_eq!((strategies.len(), strategies[0].reason.as_deref()), (1, None));
        let told: Vec<_> = report.samples.iter().map(|reject| &reject.message[..]).collect();
        let expected = [
            "expected 100 soldiers, found 101",
            "field `Castle 1`: expected a number in [0, 100], found -10",
            "field `Castle 1`: expected a number, found null",
        ];
        assert_eq!(told, expected);
    }
}
