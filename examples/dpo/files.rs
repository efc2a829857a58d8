//! Pairs from HH-RLHF files.

use std::path::PathBuf;

use accordant::data::{LoadOptions, LoadReport, OnReject, Pair, read_hh_rlhf};
use anyhow::Result;

use crate::source::Source;

/// No dialogue comes near this; a longer line is not one.
const MAX_LINE_BYTES: usize = 16 << 20;

pub fn hh_rlhf(train: &[PathBuf], test: &[PathBuf], on_reject: OnReject) -> Result<Source> {
    let options = LoadOptions { on_reject, max_line_bytes: MAX_LINE_BYTES, ..LoadOptions::default() };
    let read = |name: &str, paths: &[PathBuf]| -> Result<Vec<Pair>> {
        let (mut pairs, mut total) = (Vec::new(), LoadReport::default());
        for path in paths {
            let (more, report) = read_hh_rlhf(path, &options)?;
            println!("{name} file {}:\n{report}", path.display());
            pairs.extend(more);
            total.merge(report);
        }
        let rows = total.lines - total.blank;
        println!("{name}: {rows} rows, {} accepted, {} rejected\n", total.used, total.total_rejected());
        Ok(pairs)
    };
    let (train, test) = (read("training", train)?, read("held-out", test)?);
    Ok(Source { train, test, world: None, prompts: Vec::new() })
}
