//! Running a law: cases, counting, shrinking.

use std::{cell::Cell, env};

use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner},
};

use crate::{
    batch::Batch,
    report::{Disagreement, Ran, Violation},
    strategy::{Inputs, batches},
    subject::Subject,
};

/// What a law is tested on.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub batch: Batch,
    /// For whatever else a law draws by chance; the same while the batch shrinks.
    pub seed: u64,
}

impl Case {
    pub fn random(&self) -> Random {
        Random(self.seed)
    }
}

/// SplitMix64: a few numbers by chance, the same on every machine.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Between `low` and `high`.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Below `count`, which is > 0.
    pub fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    pub fn permutation(&mut self, len: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..len).collect();
        (1..len).rev().for_each(|last| order.swap(last, self.below(last + 1)));
        order
    }
}

/// Whether a case could decide.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Verdict {
    Holds,
    /// Nothing to compare here, or nothing that can be trusted.
    PutAside,
}

/// How many cases must decide.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Need {
    Any,
    One,
    Half,
}

pub(crate) type Outcome = Result<Verdict, Disagreement>;

type Test<'a> = Box<dyn Fn(&Subject, &Case) -> Outcome + 'a>;

/// A law: a name, the batches it is about, and a test of one.
pub(crate) struct Law<'a> {
    pub name: String,
    pub inputs: Inputs,
    pub need: Need,
    /// What is missing when too few cases decide.
    pub missing: &'static str,
    /// Runs on fewer cases than others where one case takes long.
    pub at_most: u32,
    pub test: Test<'a>,
}

impl<'a> Law<'a> {
    pub fn new(name: impl Into<String>, inputs: Inputs, test: impl Fn(&Subject, &Case) -> Outcome + 'a) -> Self {
        Self { name: name.into(), inputs, need: Need::Any, missing: "", at_most: u32::MAX, test: Box::new(test) }
    }

    pub fn needs(self, need: Need, missing: &'static str) -> Self {
        Self { need, missing, ..self }
    }

    pub fn at_most(self, cases: u32) -> Self {
        Self { at_most: cases, ..self }
    }

    /// Tests the law on batches made for `subject`; the same ones on every run.
    pub fn run(&self, subject: &Subject) -> Result<Ran, Violation> {
        let violation = |input, found: Disagreement| Violation {
            subject: subject.name.clone(),
            law: self.name.clone(),
            input,
            expected: found.expected,
            got: found.got,
        };
        let (counted, put_aside) = (Cell::new(0), Cell::new(0));
        let strategy = (batches(subject, &self.inputs), any::<u64>().no_shrink());
        let result = self.runner().run(&strategy, |(batch, seed)| {
            let verdict = (self.test)(subject, &Case { batch, seed });
            let count = |cell: &Cell<u32>| cell.set(cell.get() + 1);
            match verdict {
                Ok(Verdict::Holds) => count(&counted),
                Ok(Verdict::PutAside) => count(&put_aside),
                Err(found) => return Err(TestCaseError::fail(found.got)),
            }
            Ok(())
        });
        if let Err(error) = result {
            let TestError::Fail(_, (batch, seed)) = error else {
                return Err(violation(None, Disagreement::new("cases to test", error.to_string())));
            };
            // Once more on the smallest batch, for what was expected there.
            let case = Case { batch, seed };
            let found = (self.test)(subject, &case).err();
            let found = found.unwrap_or_else(|| Disagreement::new("the same result twice", "another one"));
            return Err(violation(Some(case.batch), found));
        }
        let (counted, put_aside) = (counted.get(), put_aside.get());
        let enough = match self.need {
            Need::Any => true,
            Need::One => counted > 0,
            Need::Half => 2 * counted >= counted + put_aside,
        };
        if !enough {
            let got = format!("{counted} of {} cases", counted + put_aside);
            return Err(violation(None, Disagreement::new(self.missing, got)));
        }
        Ok(Ran { law: self.name.clone(), cases: counted, put_aside })
    }

    fn runner(&self) -> TestRunner {
        let config = Config {
            cases: cases().min(self.at_most),
            failure_persistence: None,
            max_shrink_iters: 400,
            ..Config::default()
        };
        // One seed for each law: no law depends on the others' batches.
        let mut random = Random(self.name.bytes().fold(0, |hash, byte| Random(hash ^ u64::from(byte)).next()));
        let seed: Vec<u8> = (0..4).flat_map(|_| random.next().to_le_bytes()).collect();
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed))
    }
}

/// Batches that each law is tested on: `PROPTEST_CASES`, or 16. None would be no test.
pub(crate) fn cases() -> u32 {
    env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).filter(|cases| *cases > 0).unwrap_or(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_by_chance_are_the_same_on_every_machine() {
        // The first outputs of SplitMix64 from seed 0, as its authors publish them.
        let mut random = Random(0);
        assert_eq!(random.next(), 0xE220_A839_7B1D_CDAF);
        assert_eq!(random.next(), 0x6E78_9E6A_A1B9_65F4);
        let mut order = random.permutation(5);
        order.sort();
        assert_eq!(order, [0, 1, 2, 3, 4]);
    }
}
