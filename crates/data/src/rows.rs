//! Rows of token ids, and their layout as rectangles of plain numbers.
//!
//! A [`TokenRow`] is what one sequence is and which of it is scored. [`Padded`] brings rows to one length; with the
//! feature `tensors` the module `collate` makes tensors of it. Which tokens are scored and which are padding is told by
//! their places, never by their ids.

use crate::{
    Code, Error, Result, Warning,
    report::Reason,
    tokens::{TokenList, TokenPair},
};

/// The label of a token that is not scored.
pub const IGNORED: i64 = -100;

/// One sequence: its ids, and which of them are scored.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TokenRow {
    /// The ids.
    pub ids: Vec<u32>,
    /// Whether each is scored; as long as `ids`.
    pub mask: Vec<bool>,
}

impl TokenRow {
    /// A prompt that is read and a completion that is scored.
    pub fn of(prompt: &[u32], completion: &[u32]) -> Self {
        let mask = [vec![false; prompt.len()], vec![true; completion.len()]].concat();
        Self { ids: [prompt, completion].concat(), mask }
    }

    /// The id where it is scored, else [`IGNORED`].
    ///
    /// # Example
    /// ```
    /// use accordant_data::rows::TokenRow;
    /// assert_eq!(TokenRow::of(&[7, 8], &[9]).labels(), [-100, -100, 9]);
    /// ```
    pub fn labels(&self) -> Vec<i64> {
        let label = |(id, scored): (&u32, &bool)| if *scored { i64::from(*id) } else { IGNORED };
        self.ids.iter().zip(&self.mask).map(label).collect()
    }
}

/// On which side rows are filled to the same length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PadSide {
    /// Before the first token, as generation needs it.
    Left,
    /// After the last token, as training batches usually are.
    #[default]
    Right,
}

/// Rows of one length. Each list holds one row after the other, `rows · seq` numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Padded {
    /// The number of rows.
    pub rows: usize,
    /// The length of each; at least 1.
    pub seq: usize,
    /// The ids, the padding's where there is none.
    pub ids: Vec<i64>,
    /// True at tokens, false at padding.
    pub attended: Vec<bool>,
    /// True at tokens that are scored.
    pub scored: Vec<bool>,
}

impl Padded {
    /// Brings rows to the length of the longest, rounded up to a multiple of `multiple_of` (0 and 1: as it is).
    ///
    /// # Example
    /// ```
    /// use accordant_data::rows::{Padded, PadSide, TokenRow};
    /// let rows = [TokenRow::of(&[1, 2, 3], &[4, 5]), TokenRow::of(&[7, 8], &[9])];
    /// let padded = Padded::new(&rows, 0, PadSide::Right, 1);
    /// assert_eq!(padded.ids, [1, 2, 3, 4, 5, 7, 8, 9, 0, 0]);
    /// assert_eq!(padded.labels()[5..], [-100, -100, 9, -100, -100]);
    /// assert_eq!(Padded::new(&rows, 0, PadSide::Right, 8).seq, 8);
    /// ```
    pub fn new(rows: &[TokenRow], pad_id: u32, side: PadSide, multiple_of: usize) -> Self {
        let longest = rows.iter().map(|row| row.ids.len()).max().unwrap_or(0).max(1);
        Self::with_len(rows, pad_id, side, longest.checked_next_multiple_of(multiple_of.max(1)).unwrap_or(longest))
    }

    /// Brings rows to a length; a longer row gives its own.
    pub fn with_len(rows: &[TokenRow], pad_id: u32, side: PadSide, seq: usize) -> Self {
        let seq = rows.iter().map(|row| row.ids.len()).fold(seq.max(1), usize::max);
        let mut padded = Self {
            rows: rows.len(),
            seq,
            ids: Vec::with_capacity(rows.len() * seq),
            attended: Vec::with_capacity(rows.len() * seq),
            scored: Vec::with_capacity(rows.len() * seq),
        };
        for row in rows {
            let fill = seq - row.ids.len();
            if side == PadSide::Left {
                padded.pad(fill, pad_id);
            }
            padded.ids.extend(row.ids.iter().map(|id| i64::from(*id)));
            padded.attended.extend(std::iter::repeat_n(true, row.ids.len()));
            padded.scored.extend((0..row.ids.len()).map(|at| row.mask.get(at).copied().unwrap_or(false)));
            if side == PadSide::Right {
                padded.pad(fill, pad_id);
            }
        }
        padded
    }

    fn pad(&mut self, len: usize, pad_id: u32) {
        self.ids.extend(std::iter::repeat_n(i64::from(pad_id), len));
        self.attended.extend(std::iter::repeat_n(false, len));
        self.scored.extend(std::iter::repeat_n(false, len));
    }

    /// The id of each scored token, [`IGNORED`] elsewhere.
    pub fn labels(&self) -> Vec<i64> {
        self.ids.iter().zip(&self.scored).map(|(id, scored)| if *scored { *id } else { IGNORED }).collect()
    }

    /// The number of tokens before each one in its row; 0 at padding before the first.
    ///
    /// # Example
    /// ```
    /// use accordant_data::rows::{Padded, PadSide, TokenRow};
    /// let rows = [TokenRow::of(&[5, 6], &[7]), TokenRow::of(&[8], &[])];
    /// assert_eq!(Padded::new(&rows, 0, PadSide::Left, 1).position_ids(), [0, 1, 2, 0, 0, 0]);
    /// assert_eq!(Padded::new(&rows, 0, PadSide::Right, 1).position_ids(), [0, 1, 2, 0, 0, 0]);
    /// ```
    pub fn position_ids(&self) -> Vec<i64> {
        let mut positions = Vec::with_capacity(self.ids.len());
        for row in self.attended.chunks(self.seq) {
            let mut seen: i64 = 0;
            positions.extend(row.iter().map(|attended| {
                seen += i64::from(*attended);
                (seen - 1).max(0)
            }));
        }
        positions
    }

    /// The place of the last token of each row, as an index into the row: where a reward is read. None for a row without
    /// a token.
    pub fn last_tokens(&self) -> Vec<Option<usize>> {
        self.attended.chunks(self.seq).map(|row| row.iter().rposition(|attended| *attended)).collect()
    }
}

/// The margins of a batch, if every pair has one.
///
/// # Errors
/// [`Error::MarginMixed`] naming a pair with and a pair without: the first record must not decide for the others.
pub fn margins(pairs: &[TokenPair]) -> Result<Option<Vec<f64>>> {
    let with = pairs.iter().find(|pair| pair.margin.is_some());
    let without = pairs.iter().find(|pair| pair.margin.is_none());
    match (with, without) {
        (Some(with), Some(without)) => Err(Error::MarginMixed { with: with.id.clone(), without: without.id.clone() }),
        (Some(_), None) => Ok(Some(pairs.iter().filter_map(|pair| pair.margin).collect())),
        (None, _) => Ok(None),
    }
}

/// The rows of pairs: the chosen ones first, then the rejected ones. `whole` scores the prompt as well, as a reward
/// model reads it.
pub fn pair_rows(pairs: &[TokenPair], whole: bool) -> Vec<TokenRow> {
    let row = |prompt: &[u32], completion: &[u32]| {
        let row = TokenRow::of(prompt, completion);
        if whole { TokenRow { mask: vec![true; row.ids.len()], ids: row.ids } } else { row }
    };
    let chosen = pairs.iter().map(|pair| row(&pair.prompt, &pair.chosen));
    chosen.chain(pairs.iter().map(|pair| row(&pair.prompt, &pair.rejected))).collect()
}

/// The rows of lists of responses, and the number of the list that each belongs to.
///
/// # Example
/// ```
/// use accordant_data::{rows::list_rows, tokens::TokenList};
/// let lists = [TokenList::new("a", vec![1], vec![vec![2], vec![3], vec![4]], vec![1.0, 2.0, 3.0])];
/// let (rows, groups) = list_rows(&lists);
/// assert_eq!((rows[2].ids.clone(), groups), (vec![1, 4], vec![0, 0, 0]));
/// ```
pub fn list_rows(lists: &[TokenList]) -> (Vec<TokenRow>, Vec<usize>) {
    let row = |(group, list): (usize, &TokenList)| {
        let prompt = list.prompt.clone();
        let row = move |candidate: &Vec<u32>| (TokenRow::of(&prompt, candidate), group);
        list.candidates.iter().map(row).collect::<Vec<_>>()
    };
    lists.iter().enumerate().flat_map(row).unzip()
}

/// Rows that pair each prompt with the completion of the record before it, the first with the last one's: the
/// mismatched responses from which the KTO family estimates its baseline. See [`mismatch_warning`].
///
/// # Example
/// ```
/// use accordant_data::rows::mismatched_rows;
/// let rows = mismatched_rows(&[(&[1], &[2]), (&[3], &[4, 5])]);
/// assert_eq!((rows[0].ids.clone(), rows[1].ids.clone()), (vec![1, 4, 5], vec![3, 2]));
/// ```
pub fn mismatched_rows(records: &[(&[u32], &[u32])]) -> Vec<TokenRow> {
    let before = records.iter().cycle().skip(records.len().saturating_sub(1));
    records.iter().zip(before).map(|((prompt, _), (_, completion))| TokenRow::of(prompt, completion)).collect()
}

/// What is odd about a baseline from batches of this size: in a batch of one the mismatched pair is the real one.
pub fn mismatch_warning(batch_size: usize) -> Option<Warning> {
    (batch_size == 1).then_some(Warning::KlBatch1)
}

/// Whether good and bad examples weigh about the same, as the KTO paper asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassBalance {
    /// `(weight · number)` of desirable records over that of undesirable ones; the paper's range is `[1, 4/3]`.
    pub ratio: f64,
    /// With the undesirable weight as it is, the range of desirable weights that lie there.
    pub desirable_range: (f64, f64),
    /// With the desirable weight as it is, the range of undesirable weights that lie there.
    pub undesirable_range: (f64, f64),
}

impl ClassBalance {
    /// The balance of so many records of each kind at these weights; none where either has no record or no weight.
    ///
    /// # Example
    /// ```
    /// use accordant_data::rows::ClassBalance;
    /// let balance = ClassBalance::new(10, 40, 1.0, 1.0).unwrap();
    /// assert_eq!((balance.ratio, balance.is_balanced()), (0.25, false));
    /// assert_eq!(balance.desirable_range.0, 4.0);
    /// assert_eq!(balance.undesirable_range, (0.1875, 0.25));
    /// ```
    pub fn new(desirable: usize, undesirable: usize, desirable_weight: f64, undesirable_weight: f64) -> Option<Self> {
        let (good, bad) = (desirable_weight * desirable as f64, undesirable_weight * undesirable as f64);
        if !(good > 0.0 && bad > 0.0 && good.is_finite() && bad.is_finite()) {
            return None;
        }
        let (good_count, bad_count) = (desirable as f64, undesirable as f64);
        Some(Self {
            ratio: good / bad,
            desirable_range: (bad / good_count, bad * 4.0 / 3.0 / good_count),
            undesirable_range: (good * 0.75 / bad_count, good / bad_count),
        })
    }

    /// Whether the ratio lies in the paper's range.
    pub fn is_balanced(&self) -> bool {
        (1.0..=4.0 / 3.0).contains(&self.ratio)
    }
}

/// Steps of a solution with their labels, as one row.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct StepRow {
    /// The ids: the prompt, then each step and the separator.
    pub ids: Vec<u32>,
    /// The label of a step at the last token of its separator; none elsewhere and for a step without one.
    pub labels: Vec<Option<f64>>,
}

impl StepRow {
    /// Lays out a prompt and its steps. With `last_only` only the last step's label counts.
    ///
    /// # Errors
    /// A [`Code::LenMismatch`] where there are not as many labels as steps, or a separator without a token.
    ///
    /// # Example
    /// ```
    /// use accordant_data::rows::StepRow;
    /// let row = StepRow::new(&[1, 2], &[vec![3], vec![4, 5]], &[Some(1.0), Some(0.0)], &[9], false).unwrap();
    /// assert_eq!(row.ids, [1, 2, 3, 9, 4, 5, 9]);
    /// assert_eq!(row.labels, [None, None, None, Some(1.0), None, None, Some(0.0)]);
    /// ```
    pub fn new(
        prompt: &[u32],
        steps: &[Vec<u32>],
        labels: &[Option<f64>],
        separator: &[u32],
        last_only: bool,
    ) -> Result<Self, Reason> {
        if steps.len() != labels.len() {
            let message = format!("expected one for each of {} steps, found {}", steps.len(), labels.len());
            return Err(Reason::field(Code::LenMismatch, "labels", message));
        }
        if separator.is_empty() {
            return Err(Reason::field(Code::Empty, "step_separator", "has no token to put a label on"));
        }
        let mut row = Self { ids: prompt.to_vec(), labels: vec![None; prompt.len()] };
        for (number, (step, label)) in steps.iter().zip(labels).enumerate() {
            row.ids.extend(step.iter().chain(separator));
            row.labels.resize(row.ids.len() - 1, None);
            row.labels.push(label.filter(|_| !last_only || number + 1 == steps.len()));
        }
        Ok(row)
    }

    /// Cuts ids and labels after `max_length` tokens; says whether it did.
    pub fn truncate(&mut self, max_length: usize) -> bool {
        let cut = self.ids.len() > max_length;
        self.ids.truncate(max_length);
        self.labels.truncate(max_length);
        cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(prompt: &[u32], chosen: &[u32], rejected: &[u32]) -> TokenPair {
        TokenPair::new("p", prompt.to_vec(), chosen.to_vec(), rejected.to_vec())
    }

    fn bits(values: &[bool]) -> Vec<u8> {
        values.iter().map(|value| u8::from(*value)).collect()
    }

    #[test]
    fn pairs_are_laid_out_as_the_specification_does() {
        let pairs = [pair(&[1, 2, 3], &[4, 5], &[6]), pair(&[7, 8], &[9], &[10, 11])];
        let padded = Padded::new(&pair_rows(&pairs, false), 0, PadSide::Right, 1);
        assert_eq!(padded.ids, [1, 2, 3, 4, 5, 7, 8, 9, 0, 0, 1, 2, 3, 6, 0, 7, 8, 10, 11, 0]);
        assert_eq!(bits(&padded.attended), [1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 0]);
        assert_eq!(bits(&padded.scored), [0, 0, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0]);
    }

    #[test]
    fn rewards_are_read_at_the_last_token_of_the_whole_text() {
        // The specification's: chosen [1, 2, 3] and [6, 7], rejected [4, 5] and [8].
        let pairs = [pair(&[], &[1, 2, 3], &[4, 5]), pair(&[], &[6, 7], &[8])];
        let padded = Padded::new(&pair_rows(&pairs, true), 0, PadSide::Right, 1);
        assert_eq!(padded.ids, [1, 2, 3, 6, 7, 0, 4, 5, 0, 8, 0, 0]);
        assert_eq!(padded.last_tokens(), [Some(2), Some(1), Some(1), Some(0)]);
        assert_eq!(padded.scored, padded.attended);
        assert_eq!(Padded::new(&[TokenRow::default()], 0, PadSide::Right, 1).last_tokens(), [None]);
    }

    #[test]
    fn d06_padding_that_is_the_end_of_text_takes_no_end_of_text_away() {
        let rows = [TokenRow::of(&[5], &[6, 2]), TokenRow::of(&[5], &[2])];
        for side in [PadSide::Left, PadSide::Right] {
            let padded = Padded::new(&rows, 2, side, 4);
            assert_eq!(padded.seq, 4);
            assert_eq!(padded.labels().iter().filter(|label| **label == 2).count(), 2);
            assert_eq!(padded.attended.iter().filter(|real| **real).count(), 5);
        }
    }

    #[test]
    fn d41_margins_of_some_records_only_are_refused() {
        let with = TokenPair { margin: Some(0.5), id: "a".into(), ..pair(&[1], &[2], &[3]) };
        let without = TokenPair { id: "b".into(), ..pair(&[1], &[2], &[3]) };
        assert_eq!(margins(&[with.clone(), with.clone()]).unwrap(), Some(vec![0.5, 0.5]));
        assert_eq!(margins(std::slice::from_ref(&without)).unwrap(), None);
        assert_eq!(margins(&[]).unwrap(), None);
        let error = margins(&[without, with]).unwrap_err().to_string();
        assert_eq!(error, "E_MARGIN_MIXED: record `a` has a margin and record `b` has none");
    }

    #[test]
    fn d18_a_mismatched_completion_is_the_one_before_and_a_batch_of_one_warns() {
        let rows = mismatched_rows(&[(&[1], &[2]), (&[3], &[4]), (&[5], &[6])]);
        assert_eq!(rows.iter().map(|row| row.ids.clone()).collect::<Vec<_>>(), [[1, 6], [3, 2], [5, 4]]);
        assert_eq!(mismatched_rows(&[(&[1], &[2])])[0].ids, [1, 2]);
        assert_eq!([0, 1, 2].map(mismatch_warning), [None, Some(Warning::KlBatch1), None]);
        assert!(mismatched_rows(&[]).is_empty());
    }

    #[test]
    fn classes_are_balanced_in_the_range_of_the_paper() {
        assert!(ClassBalance::new(3, 3, 1.0, 1.0).unwrap().is_balanced());
        assert!(ClassBalance::new(4, 3, 1.0, 1.0).unwrap().is_balanced());
        assert!(!ClassBalance::new(5, 3, 1.0, 1.0).unwrap().is_balanced());
        let balance = ClassBalance::new(3, 6, 1.0, 1.0).unwrap();
        assert!((balance.desirable_range.1 - 8.0 / 3.0).abs() < 1e-12);
        assert_eq!(ClassBalance::new(0, 3, 1.0, 1.0), None);
        assert_eq!(ClassBalance::new(3, 3, 1.0, 0.0), None);
        assert_eq!(ClassBalance::new(3, 3, f64::NAN, 1.0), None);
    }

    #[test]
    fn steps_carry_their_labels_at_the_end_of_their_separators() {
        let steps = [vec![3], vec![], vec![4]];
        let labels = [Some(1.0), None, Some(0.0)];
        let mut row = StepRow::new(&[1], &steps, &labels, &[8, 9], false).unwrap();
        assert_eq!(row.ids, [1, 3, 8, 9, 8, 9, 4, 8, 9]);
        assert_eq!(row.labels, [None, None, None, Some(1.0), None, None, None, None, Some(0.0)]);
        assert!(row.truncate(4) && !row.truncate(4));
        assert_eq!((row.ids.len(), row.labels.len()), (4, 4));
        let last = StepRow::new(&[1], &steps, &labels, &[9], true).unwrap();
        assert_eq!(last.labels.iter().flatten().collect::<Vec<_>>(), [&0.0]);
        let reason = StepRow::new(&[1], &steps, &labels[1..], &[9], false).unwrap_err();
        assert_eq!(reason.to_string(), "E_LEN_MISMATCH: field `labels`: expected one for each of 3 steps, found 2");
        assert!(StepRow::new(&[1], &steps, &labels, &[], false).is_err());
    }
}
