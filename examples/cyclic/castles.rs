//! The strategies of 1 349 people for The Battle For Riddler Nation, by FiveThirtyEight (CC BY 4.0).

use std::{fs::File, path::Path};

/// The soldiers at castles 1 to 10 of every record that has ten numbers adding up to 100, in the order of the file.
///
/// Reasons contain line breaks, and bytes of an old Macintosh: this takes a reader of CSV, and bytes instead of text.
pub fn read(path: &Path) -> Result<Vec<Vec<f64>>, csv::Error> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(File::open(path)?);
    let mut strategies = Vec::new();
    for record in reader.byte_records() {
        let record = record?;
        let soldiers = record.iter().take(10).map(|field| String::from_utf8_lossy(field).trim().parse::<f64>().ok());
        let strategy = soldiers.collect::<Option<Vec<f64>>>();
        strategies.extend(strategy.filter(|all| all.len() == 10 && (all.iter().sum::<f64>() - 100.0).abs() < 1e-6));
    }
    Ok(strategies)
}

/// Each strategy once, in the order in which they come first.
pub fn distinct(strategies: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mut once: Vec<Vec<f64>> = Vec::new();
    for strategy in strategies {
        if !once.contains(strategy) {
            once.push(strategy.clone());
        }
    }
    once
}
