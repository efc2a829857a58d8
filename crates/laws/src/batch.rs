//! A batch on the host: what strategies make, proptest shrinks and a failing law prints.

use std::{collections::BTreeMap, fmt, ops::Range};

use crate::subject::Family;

/// The columns of tokens that are log-probabilities.
const LOGPS: [&str; 2] = ["old", "behavior"];

/// Numbers that belong to an item or a response, by name.
pub type Columns = BTreeMap<&'static str, f64>;

/// Numbers that belong to the scored tokens of a response, by name.
pub type TokenColumns = BTreeMap<&'static str, Vec<f64>>;

/// One scored response.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Response {
    /// Log-probability of each scored token under the policy, in nats; none for an empty completion.
    pub policy: Vec<f64>,
    /// The same under the reference, as many.
    pub reference: Vec<f64>,
    /// What else is known of each scored token, as many numbers under each name: log-probabilities under the policy that
    /// sampled, values.
    pub tokens: TokenColumns,
    /// What else is known of this response, a score for instance.
    pub columns: Columns,
}

impl Response {
    /// The number of scored tokens.
    pub fn len(&self) -> usize {
        self.policy.len()
    }

    /// Whether no token is scored.
    pub fn is_empty(&self) -> bool {
        self.policy.is_empty()
    }

    /// Takes all tokens away; what is known of the response as a whole stays.
    pub fn clear(&mut self) {
        self.keep(0);
    }

    /// Takes all tokens but the first `len` away.
    pub(crate) fn keep(&mut self, len: usize) {
        self.rows().for_each(|row| row.truncate(len));
    }

    /// Everything that has one number for each token.
    pub(crate) fn rows(&mut self) -> impl Iterator<Item = &mut Vec<f64>> {
        [&mut self.policy, &mut self.reference].into_iter().chain(self.tokens.values_mut())
    }

    /// The summed log-ratio to the reference.
    pub fn log_ratio(&self) -> f64 {
        self.policy.iter().sum::<f64>() - self.reference.iter().sum::<f64>()
    }
}

/// One item of the batch: a pair, a single response, a list, or the responses to one prompt.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Item {
    /// Its responses; of a pair, the chosen one first.
    pub responses: Vec<Response>,
    /// Side information and hooks; every item of a batch has the same names.
    pub columns: Columns,
}

impl Item {
    /// Whether some response has no scored token, so that the item has weight 0.
    pub fn has_empty_response(&self) -> bool {
        self.responses.iter().any(Response::is_empty)
    }

    /// Its weight: the column `weights`, 1 without one.
    pub fn weight(&self) -> f64 {
        self.columns.get("weights").copied().unwrap_or(1.0)
    }
}

/// The items that a loss sees at once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// The items, any number of them.
    pub items: Vec<Item>,
}

impl Batch {
    /// The items at `indices`, in that order.
    pub fn select(&self, indices: &[usize]) -> Self {
        Self { items: indices.iter().map(|&index| self.items[index].clone()).collect() }
    }

    /// Every item changed by `change`, which also gets its index.
    pub fn map(&self, mut change: impl FnMut(usize, &mut Item)) -> Self {
        let mut items = self.items.clone();
        items.iter_mut().enumerate().for_each(|(index, item)| change(index, item));
        Self { items }
    }

    /// Every item with `value` in the column `name`.
    pub fn with_column(&self, name: &'static str, value: f64) -> Self {
        self.map(|_, item| {
            item.columns.insert(name, value);
        })
    }

    /// No item with a column `name`.
    pub fn without_column(&self, name: &str) -> Self {
        self.map(|_, item| {
            item.columns.remove(name);
        })
    }

    /// The reference replaced by the policy.
    pub fn at_reference(&self) -> Self {
        self.map(|_, item| item.responses.iter_mut().for_each(|r| r.reference.clone_from(&r.policy)))
    }

    /// The reference and everything else that is a log-probability replaced by the policy: nothing has been updated yet.
    pub fn on_policy(&self) -> Self {
        self.at_reference().map(|_, item| {
            for response in &mut item.responses {
                for name in LOGPS {
                    if let Some(tokens) = response.tokens.get_mut(name) {
                        tokens.clone_from(&response.policy);
                    }
                }
            }
        })
    }

    /// Which losses belong to which item: one to each, or of rollouts one to each of its responses.
    pub(crate) fn units(&self, family: Family) -> Vec<Range<usize>> {
        let count = |item: &Item| if family == Family::Rollouts { item.responses.len() } else { 1 };
        let step = |from: &mut usize, item: &Item| {
            let range = *from..*from + count(item);
            *from = range.end;
            Some(range)
        };
        self.items.iter().scan(0, step).collect()
    }

    /// Every log-probability and every number in a column as `f32` holds it.
    pub fn rounded(&self) -> Self {
        let round = |value: &mut f64| *value = f64::from(*value as f32);
        self.map(|_, item| {
            item.columns.values_mut().for_each(round);
            for response in &mut item.responses {
                response.rows().flatten().for_each(round);
                response.columns.values_mut().for_each(round);
            }
        })
    }

    /// Mean number of scored tokens of first responses, weighted, over the items without an empty response; none when
    /// no item counts.
    pub fn tokens_per_item(&self) -> Option<f64> {
        let counted = self.items.iter().filter(|item| !item.has_empty_response() && !item.responses.is_empty());
        let (mut tokens, mut weight) = (0.0, 0.0);
        for item in counted {
            tokens += item.weight() * item.responses[0].len() as f64;
            weight += item.weight();
        }
        (weight > 0.0).then(|| tokens / weight)
    }
}

/// `-0.5  -1.25` with a fixed width for each number, so that policy and reference stand below each other.
fn row(values: &[f64]) -> String {
    values.iter().map(|value| format!("{value:>12}")).collect()
}

fn columns(columns: &Columns) -> String {
    columns.iter().map(|(name, value)| format!("  {name} {value}")).collect()
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if self.items.is_empty() {
            return write!(f, "  a batch without items");
        }
        for (index, item) in self.items.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}  item {index}{}", columns(&item.columns))?;
            for (number, response) in item.responses.iter().enumerate() {
                let what = if response.is_empty() { "  no scored token" } else { "" };
                write!(f, "\n    response {number}{}{what}", columns(&response.columns))?;
                if !response.is_empty() {
                    write!(f, "\n      policy   {}", row(&response.policy))?;
                    write!(f, "\n      reference{}", row(&response.reference))?;
                    for (name, tokens) in &response.tokens {
                        write!(f, "\n      {name:<9}{}", row(tokens))?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(policy: &[f64]) -> Response {
        Response { policy: policy.to_vec(), reference: vec![-1.0; policy.len()], ..Default::default() }
    }

    #[test]
    fn a_batch_prints_as_a_table() {
        let item = Item {
            responses: vec![response(&[-0.5, -1.25]), response(&[])],
            columns: Columns::from([("weights", 2.0)]),
        };
        let expected = "  item 0  weights 2
    response 0
      policy           -0.5       -1.25
      reference          -1          -1
    response 1  no scored token";
        assert_eq!(Batch { items: vec![item] }.to_string(), expected);
    }

    #[test]
    fn columns_of_tokens_stand_below_their_tokens() {
        let mut rollout = response(&[-0.5, -1.25]);
        rollout.tokens.insert("old", vec![-0.75, -1.0]);
        let batch = Batch { items: vec![Item { responses: vec![rollout], ..Default::default() }] };
        let expected = "  item 0
    response 0
      policy           -0.5       -1.25
      reference          -1          -1
      old             -0.75          -1";
        assert_eq!(batch.to_string(), expected);
        let fresh = batch.on_policy();
        assert_eq!(fresh.items[0].responses[0].tokens["old"], [-0.5, -1.25]);
        assert_eq!(fresh.items[0].responses[0].reference, [-0.5, -1.25]);
    }

    #[test]
    fn tokens_per_item_leaves_out_what_does_not_count() {
        let item = |chosen: usize, rejected: usize, weight: f64| Item {
            responses: vec![response(&vec![-1.0; chosen]), response(&vec![-1.0; rejected])],
            columns: Columns::from([("weights", weight)]),
        };
        // (1·4 + 3·2) / 4; the third item has an empty side.
        let batch = Batch { items: vec![item(4, 1, 1.0), item(2, 5, 3.0), item(9, 0, 1.0)] };
        assert_eq!(batch.tokens_per_item(), Some(2.5));
        assert_eq!(batch.select(&[2]).tokens_per_item(), None);
    }
}
