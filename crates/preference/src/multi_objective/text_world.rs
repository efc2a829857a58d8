//! Seeded texts that are judged by groups who disagree: a world to try rewards of words in.

use accordant_ops::{check_domain, host::logistic};
use burn::config::Config;
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::{
    Result,
    random::{Purpose, stream},
};

/// Two texts, of which somebody of a group preferred one.
#[derive(Debug, Clone, PartialEq)]
pub struct TextPair {
    /// The better one, to whoever judged.
    pub chosen: String,
    /// The other.
    pub rejected: String,
    /// The group of whoever judged: 0 or 1.
    pub group: usize,
}

/// Configuration of a world of two groups. Texts are words drawn at random; a word is worth `shared` times one normal number to
/// both groups, and plus or minus `own` times another to one and the other; texts are worth what their words are, each once,
/// and labels are logistic in the difference.
#[derive(Config, Debug, PartialEq)]
pub struct TextWorldConfig {
    /// Decides everything.
    pub seed: u64,
    /// How many words there are, at least 1. 300: ours.
    #[config(default = 300)]
    pub vocabulary: usize,
    /// How many words a text has, at least 1. 20: ours.
    #[config(default = 20)]
    pub length: usize,
    /// What groups agree on, finite. 0.25: ours.
    #[config(default = 0.25)]
    pub shared: f64,
    /// What they disagree on, finite. 0.5: ours; more than `shared`, so that what one likes the other dislikes.
    #[config(default = 0.5)]
    pub own: f64,
}

impl TextWorldConfig {
    /// `of_each` pairs of each group, group 0 first. `part` tells samples of one world apart, such as training and test.
    ///
    /// # Errors
    /// A domain error naming the field.
    ///
    /// # Example
    /// ```
    /// use accordant_preference::multi_objective::text_world::TextWorldConfig;
    /// let world = TextWorldConfig::new(0).with_length(2);
    /// let pairs = world.pairs(3, 0)?;
    /// assert_eq!(pairs.iter().map(|pair| pair.group).collect::<Vec<_>>(), [0, 0, 0, 1, 1, 1]);
    /// assert_eq!(pairs[0].chosen.split(' ').count(), 2);
    /// # Ok::<(), accordant_preference::Error>(())
    /// ```
    pub fn pairs(&self, of_each: usize, part: u32) -> Result<Vec<TextPair>> {
        let Self { seed, vocabulary, length, shared, own } = *self;
        check_domain(vocabulary > 0, "vocabulary", "at least 1", vocabulary as f64)?;
        check_domain(length > 0, "length", "at least 1", length as f64)?;
        check_domain(shared.is_finite(), "shared", "finite", shared)?;
        check_domain(own.is_finite(), "own", "finite", own)?;
        let mut words = stream(seed, Purpose::World, 0);
        let tastes: Vec<[f64; 2]> = (0..vocabulary)
            .map(|_| {
                let [common, apart]: [f64; 2] = [(); 2].map(|()| StandardNormal.sample(&mut words));
                [shared * common + own * apart, shared * common - own * apart]
            })
            .collect();
        let mut rng = stream(seed, Purpose::Sample, part);
        let mut text = || -> Vec<usize> { (0..length).map(|_| rng.random_range(0..vocabulary)).collect() };
        let texts: Vec<[Vec<usize>; 2]> = (0..2 * of_each).map(|_| [text(), text()]).collect();
        let worth = |text: &[usize], group: usize| -> f64 {
            let mut once = text.to_vec();
            once.sort_unstable();
            once.dedup();
            once.iter().map(|&word| tastes[word][group]).sum()
        };
        let spell = |text: &[usize]| text.iter().map(|word| format!("word{word}")).collect::<Vec<_>>().join(" ");
        let judge = |(at, [first, second]): (usize, &[Vec<usize>; 2])| {
            let group = at / of_each;
            let chance = logistic(worth(first, group) - worth(second, group));
            let (chosen, rejected) = if rng.random::<f64>() < chance { (first, second) } else { (second, first) };
            TextPair { chosen: spell(chosen), rejected: spell(rejected), group }
        };
        Ok(texts.iter().enumerate().map(judge).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::multi_objective::{BagOfWordsConfig, Differences, DomainRewardConfig, LinearRewardConfig};

    fn differences(pairs: &[TextPair]) -> (Differences, Vec<usize>) {
        let bag = BagOfWordsConfig::new().with_length(false).init().unwrap();
        let mut all = Differences::new(bag.dim());
        pairs.iter().for_each(|pair| all.push(&bag.difference(&pair.chosen, &pair.rejected), 1.0, 1.0).unwrap());
        (all, pairs.iter().map(|pair| pair.group).collect())
    }

    #[test]
    fn a_reward_for_each_group_is_right_where_one_is_not_and_one_group_misleads_about_the_other() {
        let world = TextWorldConfig::new(3).with_vocabulary(60);
        let (train, groups) = differences(&world.pairs(400, 0).unwrap());
        let (test, test_groups) = differences(&world.pairs(400, 1).unwrap());
        let share = |leads: &[f64]| -> f64 {
            let hits = leads.iter().map(|lead| f64::from(u8::from(*lead > 0.0)));
            hits.sum::<f64>() / leads.len() as f64
        };
        let domains = DomainRewardConfig::new().fit(&train, &groups, 2).unwrap();
        let one = LinearRewardConfig::new().fit(&train).unwrap();
        assert!(domains.report.converged && one.report.converged);
        let both = share(&domains.leads(&test, &test_groups).unwrap());
        let single = share(&test.leads(&one.coefficients).unwrap());
        assert!(both > 0.75 && both > single + 0.1, "{both} {single}");
        let first: Vec<usize> = (0..400).collect();
        let alone = LinearRewardConfig::new().fit(&train.select(&first).unwrap()).unwrap();
        let other = test.select(&(400..800).collect::<Vec<_>>()).unwrap();
        assert!(share(&other.leads(&alone.coefficients).unwrap()) < 0.4);
    }

    #[test]
    fn seeds_and_parts_differ_and_tastes_of_0_decide_nothing() {
        let pairs = |seed, part| TextWorldConfig::new(seed).pairs(5, part).unwrap();
        assert_eq!(pairs(1, 0), pairs(1, 0));
        assert_ne!(pairs(1, 0), pairs(1, 1));
        assert_ne!(pairs(1, 0), pairs(2, 0));
        // Whoever agrees on everything is one group: labels depend on the first half's tastes alone.
        let agreed = TextWorldConfig::new(3).with_vocabulary(30).with_own(0.0).with_shared(1.0);
        let (train, _) = differences(&agreed.pairs(300, 0).unwrap());
        let (first, second): (Vec<usize>, Vec<usize>) = ((0..300).collect(), (300..600).collect());
        let alone = LinearRewardConfig::new().fit(&train.select(&first).unwrap()).unwrap();
        let leads = train.select(&second).unwrap().leads(&alone.coefficients).unwrap();
        assert!(leads.iter().filter(|lead| **lead > 0.0).count() > 240);
    }

    #[test]
    fn every_field_has_a_domain_and_a_default() {
        let text = |config: TextWorldConfig| config.pairs(1, 0).unwrap_err().to_string();
        assert!(text(TextWorldConfig::new(0).with_vocabulary(0)).starts_with("`vocabulary`: expected at least 1"));
        assert!(text(TextWorldConfig::new(0).with_length(0)).starts_with("`length`: expected at least 1"));
        for bad in [f64::NAN, f64::INFINITY] {
            assert!(text(TextWorldConfig::new(0).with_shared(bad)).starts_with("`shared`: expected finite"));
            assert!(text(TextWorldConfig::new(0).with_own(bad)).starts_with("`own`: expected finite"));
        }
        let defaults = TextWorldConfig::new(0);
        assert_eq!((defaults.vocabulary, defaults.length, defaults.shared, defaults.own), (300, 20, 0.25, 0.5));
        assert!(defaults.pairs(0, 0).unwrap().is_empty());
    }
}
