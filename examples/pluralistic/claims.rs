//! What must come out, and what does not.

use accordant::preference::plural::evaluation::Interval;

use super::{COLUMNS, Row, models::Kind};

/// The bars of the full run on the survey.
pub fn misses(by_item: &[Row], at_random: &[Row]) -> Vec<String> {
    let mut misses = Vec::new();
    for (column, bar) in [3.0, 2.0, 3.0, 3.5].into_iter().enumerate() {
        let best = best(by_item, column, Kind::is_plural);
        need(&mut misses, best.value >= bar && best.lower > 0.0, || {
            format!("split by item, {}: the best plural model is {:+.2}, not {bar} points", COLUMNS[column], best.value)
        });
        for row in by_item.iter().filter(|row| matches!(row.kind, Kind::Mixture | Kind::Lore)) {
            need(&mut misses, row.differences[column].lower > 0.0, || {
                format!("split by item, {}: {} is not established above one taste", COLUMNS[column], row.name)
            });
        }
    }
    for row in by_item.iter().filter(|row| row.kind == Kind::Pal) {
        need(&mut misses, row.differences[3].lower > 0.0, || {
            format!("split by item, {}: {} is not established above one taste", COLUMNS[3], row.name)
        });
    }
    for (column, bar) in [(1, 9.0), (2, 13.0), (3, 18.0)] {
        let best = best(at_random, column, Kind::is_plural).value;
        need(&mut misses, best >= bar, || {
            format!("split at random, {}: the best plural model is {best:+.2}, not {bar} points", COLUMNS[column])
        });
    }
    misses.extend(everywhere(by_item, at_random));
    misses
}

/// What holds of one fold and of the seeded world, too.
pub fn everywhere(by_item: &[Row], at_random: &[Row]) -> Vec<String> {
    let mut misses = Vec::new();
    // Named before, since the best of several on the test pairs is above one taste by luck, too.
    for row in by_item.iter().filter(|row| row.kind == Kind::Lore) {
        let lead = row.differences[0];
        need(&mut misses, lead.lower > 0.0, || {
            format!("split by item: {} is not established above one taste: {:+.2}", row.name, lead.value)
        });
    }
    let table = best(by_item, 0, |kind| kind == Kind::Private).value;
    need(&mut misses, table.abs() < 0.5, || format!("split by item: the private table gains {table:+.2}"));
    let table = best(at_random, 0, |kind| kind == Kind::Private).value;
    need(&mut misses, table > 5.0, || format!("split at random: the private table gains {table:+.2} only"));
    misses
}

/// By how much the best plural model leads the best private table of new users with 5 pairs, split at random: reported, and
/// no claim. The protocol's bar is half a point; here tables that are fitted to their optimum are ahead.
pub fn lead_over_tables(at_random: &[Row]) -> Option<f64> {
    let has_plural = at_random.iter().any(|row| row.kind.is_plural());
    let best = |of: fn(Kind) -> bool| best(at_random, 1, of).value;
    has_plural.then(|| best(Kind::is_plural) - best(|kind| kind == Kind::Private))
}

fn need(misses: &mut Vec<String>, holds: bool, miss: impl FnOnce() -> String) {
    if !holds {
        misses.push(miss());
    }
}

/// The largest difference to one taste among some models.
fn best(rows: &[Row], column: usize, of: impl Fn(Kind) -> bool) -> Interval {
    let differences = rows.iter().filter(|row| of(row.kind)).map(|row| row.differences[column]);
    differences.max_by(|a, b| a.value.total_cmp(&b.value)).expect("each table has such models")
}
