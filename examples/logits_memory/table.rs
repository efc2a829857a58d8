//! A table of costs.

use crate::bench::Cost;

/// Time and memory of each form, and both relative to the first.
pub fn print(title: &str, costs: &[(String, Cost)], share: impl Fn(&str, f64) -> Option<f64>) {
    println!(
        "\n{title}\n  {:28} {:>9} {:>6} {:>11} {:>6} {:>12}",
        "", "time", "ratio", "memory", "ratio", "matrix peak"
    );
    let first = &costs[0].1;
    for (name, cost) in costs {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        let mib = or_none(cost.bytes.map(|bytes| format!("{:.0} MiB", bytes / 1_048_576.0)));
        let less = or_none(cost.bytes.zip(first.bytes).map(|(own, first)| format!("{:.3}", own / first)));
        let share = or_none(share(name, cost.seconds).map(|share| format!("{:.0} %", 100.0 * share)));
        let (time, ratio) = (cost.seconds * 1e3, cost.seconds / first.seconds);
        println!("  {name:28} {time:6.1} ms {ratio:6.2} {mib:>11} {less:>6} {share:>12}");
    }
}
