//! The report as text.

use core::fmt;

use super::{Check, Report, Verdict};

impl fmt::Display for Verdict {
    /// One word; a panic's message is left to the report.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Imprecise => "IMPRECISE",
            Self::Wrong => "WRONG",
            Self::Unsupported => "unsupported",
            Self::Panicked(_) => "PANICKED",
        })
    }
}

impl fmt::Display for Report {
    /// The table, the panics and, on the last line, the verdict.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: fn(&Check) -> &str| self.checks.iter().map(|c| column(c).chars().count()).max();
        let names = width(|check| check.name).unwrap_or(0).max("check".len());
        let purposes = width(|check| check.purpose).unwrap_or(0).max("for".len());
        writeln!(
            f,
            "{:names$}  {:purposes$}  {:5} {:>9} {:>9}  verdict",
            "check", "for", "dtype", "max error", "bound"
        )?;
        let number = |x: f64| if x.is_nan() { "-".into() } else { format!("{x:.1e}") };
        for Check { name, purpose, dtype, max_error, bound, verdict } in &self.checks {
            let (error, bound, dtype) = (number(*max_error), number(*bound), format!("{dtype:?}"));
            writeln!(f, "{name:names$}  {purpose:purposes$}  {dtype:5} {error:>9} {bound:>9}  {verdict}")?;
        }
        let mut panics = false;
        for check in &self.checks {
            if let Verdict::Panicked(message) = &check.verdict {
                writeln!(f, "{} panicked: {}", check.name, message.trim_end())?;
                panics = true;
            }
        }
        if panics {
            writeln!(f, "after a panic the runtime may be unusable: distrust the checks that follow it")?;
        }
        let count = |of: fn(&Verdict) -> bool| self.checks.iter().filter(|check| of(&check.verdict)).count();
        let ok = count(|verdict| *verdict == Verdict::Ok);
        let unsupported = count(|verdict| *verdict == Verdict::Unsupported);
        let verdict = if self.is_healthy() { "healthy" } else { "NOT healthy" };
        let failed = self.failures().count();
        write!(f, "{}: {verdict} ({ok} checks ok, {failed} failed, {unsupported} unsupported)", self.device)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::DType;

    use super::*;

    #[test]
    fn the_columns_of_the_table_are_aligned() {
        let checks = [("ü", Verdict::Ok), ("a longer name", Verdict::Panicked("why".into()))];
        let check = |(name, verdict)| Check {
            name,
            purpose: name,
            dtype: DType::BF16,
            max_error: f64::NAN,
            bound: 1e-5,
            verdict,
        };
        let report = Report { device: "none".into(), checks: checks.map(check).into() };
        let text = report.to_string();
        let column = |line: &str, word: &str| line[..line.find(word).expect("a column")].chars().count();
        let lines: Vec<_> = text.lines().take(3).collect();
        let starts = ["verdict", "ok", "PANICKED"];
        let verdicts: Vec<_> = lines.iter().zip(starts).map(|(line, word)| column(line, word)).collect();
        assert_eq!(verdicts, [verdicts[0]; 3], "{text}");
        assert_eq!(column(lines[1], "BF16"), column(lines[2], "BF16"), "{text}");
        assert_eq!(column(lines[0], "dtype"), column(lines[2], "BF16"), "{text}");
    }
}
