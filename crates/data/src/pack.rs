//! Several sequences in one row: packing, rows without padding, and rows that share a prompt.
//!
//! Packing changes nothing that a model computes only if no sequence sees another. [`Attention`] says whether the model's
//! attention keeps sequences apart; where it does not, packing is refused. Positions restart with each sequence, and the
//! first token of a sequence is never scored: the token before it belongs to another.
//!
//! Shuffle before packing ([`crate::order::epoch_order`]): sequences in one row meet again in every epoch otherwise.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
};

use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    rows::{IGNORED, TokenRow},
};

/// How sequences are put into rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Packing {
    /// Best fit, longest first: each goes where it leaves the least room. What is too long is cut.
    #[default]
    Bfd,
    /// The same, but what is too long is split. Not for preferences: a part of an answer was never judged.
    BfdSplit,
    /// One after the other, split wherever a row ends. For plain language modeling only.
    Wrapped,
}

/// Whether a model's attention keeps the sequences of a row apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attention {
    /// It does: it takes the sequences' bounds, or a mask of blocks.
    Isolates,
    /// It sees everything before a token in its row.
    SeesRow,
}

/// A part of a sequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The number of the sequence.
    pub sequence: usize,
    /// Which of its tokens.
    pub range: Range<usize>,
}

/// Which sequences go into which row, each row at most `capacity` tokens.
///
/// # Errors
/// [`Error::Domain`] for a capacity of 0.
///
/// # Example
/// ```
/// use accordant_data::pack::{Packing, pack};
/// let lengths = |packing| -> Vec<Vec<usize>> {
///     let rows = pack(&[5, 2, 3, 1], 4, packing).unwrap();
///     rows.iter().map(|row| row.iter().map(|piece| piece.range.len()).collect()).collect()
/// };
/// assert_eq!(lengths(Packing::Bfd), [vec![4], vec![3, 1], vec![2]]);
/// assert_eq!(lengths(Packing::BfdSplit), [vec![4], vec![3, 1], vec![2, 1]]);
/// assert_eq!(lengths(Packing::Wrapped), [vec![4], vec![1, 2, 1], vec![2, 1]]);
/// ```
pub fn pack(lengths: &[usize], capacity: usize, packing: Packing) -> Result<Vec<Vec<Piece>>> {
    check_capacity(capacity)?;
    let whole = lengths.iter().enumerate().filter(|(_, len)| **len > 0);
    let pieces: Vec<Piece> = match packing {
        Packing::Wrapped => return Ok(wrap(whole, capacity)),
        Packing::Bfd => whole.map(|(sequence, len)| Piece { sequence, range: 0..capacity.min(*len) }).collect(),
        Packing::BfdSplit => whole
            .flat_map(|(sequence, len)| {
                let starts = (0..*len).step_by(capacity);
                starts.map(move |start| Piece { sequence, range: start..len.min(&(start + capacity)).to_owned() })
            })
            .collect(),
    };
    let sizes: Vec<_> = pieces.iter().map(|piece| piece.range.len()).collect();
    let bins = best_fit(&sizes, capacity);
    Ok(bins.into_iter().map(|bin| bin.into_iter().filter_map(|at| pieces.get(at).cloned()).collect()).collect())
}

/// Which pairs go into which row, both sides of a pair in the same one; and the pairs that are too long for any.
///
/// # Errors
/// [`Error::Domain`] for a capacity of 0.
///
/// # Example
/// ```
/// use accordant_data::pack::pack_pairs;
/// let (rows, too_long) = pack_pairs(&[(3, 2), (2, 2), (9, 2), (1, 1)], 8)?;
/// assert_eq!((rows, too_long), (vec![vec![0, 3], vec![1]], vec![2]));
/// # Ok::<(), accordant_data::Error>(())
/// ```
pub fn pack_pairs(lengths: &[(usize, usize)], capacity: usize) -> Result<(Vec<Vec<usize>>, Vec<usize>)> {
    check_capacity(capacity)?;
    let size = |(chosen, rejected): &(usize, usize)| chosen.saturating_add(*rejected);
    let (fits, too_long): (Vec<usize>, Vec<usize>) =
        (0..lengths.len()).partition(|at| lengths.get(*at).is_some_and(|pair| size(pair) <= capacity));
    let sizes: Vec<_> = fits.iter().filter_map(|at| lengths.get(*at)).map(size).collect();
    let bins = best_fit(&sizes, capacity);
    Ok((
        bins.into_iter().map(|bin| bin.into_iter().filter_map(|at| fits.get(at).copied()).collect()).collect(),
        too_long,
    ))
}

fn check_capacity(capacity: usize) -> Result<()> {
    if capacity == 0 {
        return Err(Error::Domain { name: "capacity", expected: "at least 1 token", got: 0.0 });
    }
    Ok(())
}

/// Best fit, largest first; equal sizes in the order they came, and of equally full bins the one that was so first.
fn best_fit(sizes: &[usize], capacity: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(sizes[*at]));
    let mut bins: Vec<Vec<usize>> = Vec::new();
    let mut by_room: BTreeMap<usize, VecDeque<usize>> = BTreeMap::new();
    for at in order {
        let size = sizes[at];
        let found = by_room.range_mut(size..).next().and_then(|(room, bins)| Some((*room, bins.pop_front()?)));
        let (room, bin) = found.unwrap_or_else(|| {
            bins.push(Vec::new());
            (capacity, bins.len() - 1)
        });
        if by_room.get(&room).is_some_and(VecDeque::is_empty) {
            by_room.remove(&room);
        }
        bins[bin].push(at);
        by_room.entry(room - size).or_default().push_back(bin);
    }
    bins
}

fn wrap<'a>(whole: impl Iterator<Item = (usize, &'a usize)>, capacity: usize) -> Vec<Vec<Piece>> {
    let mut rows: Vec<Vec<Piece>> = Vec::new();
    let mut room = 0;
    for (sequence, len) in whole {
        let mut start = 0;
        while start < *len {
            if room == 0 {
                rows.push(Vec::new());
                room = capacity;
            }
            let end = len.min(&(start + room)).to_owned();
            room -= end - start;
            if let Some(row) = rows.last_mut() {
                row.push(Piece { sequence, range: start..end });
            }
            start = end;
        }
    }
    rows
}

/// Sequences one after the other without padding, and their bounds.
///
/// # Example
/// ```
/// use accordant_data::{pack::{Attention, Flat}, rows::TokenRow};
/// let flat = Flat::new(&[TokenRow::of(&[1], &[2, 3]), TokenRow::of(&[], &[4, 5])], Attention::Isolates)?;
/// assert_eq!(flat.ids, [1, 2, 3, 4, 5]);
/// assert_eq!(flat.labels, [-100, 2, 3, -100, 5]); // 3 must not learn to predict 4
/// assert_eq!((flat.position_ids, flat.cu_seqlens), (vec![0, 1, 2, 0, 1], vec![0, 3, 5]));
/// assert_eq!((flat.sequence_ids, flat.max_seqlen), (vec![0, 0, 0, 1, 1], 3));
/// # Ok::<(), accordant_data::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flat {
    /// The ids.
    pub ids: Vec<u32>,
    /// The id of each scored token, [`IGNORED`] elsewhere and at the first token of each sequence.
    pub labels: Vec<i64>,
    /// The place of each token in its sequence.
    pub position_ids: Vec<usize>,
    /// Where each sequence begins, and the end of the last.
    #[doc(alias = "cu_seq_lens_q")]
    pub cu_seqlens: Vec<usize>,
    /// The number of the sequence of each token.
    #[doc(alias = "seq_idx")]
    pub sequence_ids: Vec<usize>,
    /// The length of the longest sequence.
    pub max_seqlen: usize,
}

impl Flat {
    /// Lays out sequences; those without a token are left out.
    ///
    /// # Errors
    /// [`Error::PackingUnsafe`] for two sequences and an attention that would let one see the other.
    pub fn new(rows: &[TokenRow], attention: Attention) -> Result<Self> {
        let rows: Vec<_> = rows.iter().filter(|row| !row.ids.is_empty()).collect();
        if attention == Attention::SeesRow && rows.len() > 1 {
            return Err(Error::PackingUnsafe { what: "several sequences were to share a row" });
        }
        let mut flat = Self { cu_seqlens: vec![0], ..Self::default() };
        for (number, row) in rows.into_iter().enumerate() {
            flat.ids.extend(&row.ids);
            flat.labels.push(IGNORED);
            flat.labels.extend(row.labels().into_iter().skip(1));
            flat.position_ids.extend(0..row.ids.len());
            flat.sequence_ids.extend(std::iter::repeat_n(number, row.ids.len()));
            flat.cu_seqlens.push(flat.ids.len());
            flat.max_seqlen = flat.max_seqlen.max(row.ids.len());
        }
        Ok(flat)
    }

    /// The rows of pieces that [`pack`] chose, for [`Flat::new`].
    pub fn pieces(rows: &[TokenRow], pieces: &[Piece]) -> Vec<TokenRow> {
        let part = |piece: &Piece| {
            let row = rows.get(piece.sequence)?;
            let mask = row.mask.get(piece.range.clone())?.to_vec();
            Some(TokenRow { ids: row.ids.get(piece.range.clone())?.to_vec(), mask })
        };
        pieces.iter().filter_map(part).collect()
    }
}

/// A prompt and several completions in one row: the prompt is read once, and no completion sees another.
///
/// # Example
/// ```
/// use accordant_data::pack::{Attention, Part, SharedPrompt};
/// let row = SharedPrompt::new(&[1, 2], &[Part::all(&[3, 4]), Part::all(&[5])], Attention::Isolates)?;
/// assert_eq!(row.ids, [1, 2, 3, 4, 5]);
/// assert_eq!(row.position_ids, [0, 1, 2, 3, 2]); // as if 5 followed 2
/// assert_eq!(row.branches, [0, 0, 1, 1, 2]);
/// assert!(row.sees(4, 1) && !row.sees(4, 3));
/// assert_eq!(row.scored, [(1, 2), (2, 3), (1, 4)]); // 3 and 5 are both predicted at 2
/// # Ok::<(), accordant_data::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedPrompt {
    /// The ids: the prompt, then each completion.
    pub ids: Vec<u32>,
    /// The place of each token as if only its own completion followed the prompt.
    pub position_ids: Vec<usize>,
    /// 0 for the prompt, else the number of the completion, from 1.
    pub branches: Vec<usize>,
    /// Each scored token: where its prediction is made, and where it stands.
    pub scored: Vec<(usize, usize)>,
}

/// A completion and which of its tokens are scored.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// The ids.
    pub ids: &'a [u32],
    /// Which are scored; none means all.
    pub mask: Option<&'a [bool]>,
}

impl<'a> Part<'a> {
    /// A completion that is scored as a whole.
    pub fn all(ids: &'a [u32]) -> Self {
        Self { ids, mask: None }
    }
}

impl SharedPrompt {
    /// Lays out a prompt and completions.
    ///
    /// # Errors
    /// [`Error::PackingUnsafe`] for two completions and an attention that would let one see the other.
    pub fn new(prompt: &[u32], completions: &[Part<'_>], attention: Attention) -> Result<Self> {
        if attention == Attention::SeesRow && completions.len() > 1 {
            return Err(Error::PackingUnsafe { what: "several completions were to share a prompt" });
        }
        let mut row = Self {
            ids: prompt.to_vec(),
            position_ids: (0..prompt.len()).collect(),
            branches: vec![0; prompt.len()],
            scored: Vec::new(),
        };
        for (number, completion) in completions.iter().enumerate() {
            for (at, id) in completion.ids.iter().enumerate() {
                let place = row.ids.len();
                // The first token of a completion is predicted at the prompt's last.
                let source = if at == 0 { prompt.len().checked_sub(1) } else { Some(place - 1) };
                let scored = completion.mask.is_none_or(|mask| mask.get(at).copied().unwrap_or(false));
                row.scored.extend(source.filter(|_| scored).map(|source| (source, place)));
                row.ids.push(*id);
                row.position_ids.push(prompt.len() + at);
                row.branches.push(number + 1);
            }
        }
        Ok(row)
    }

    /// Whether the token at one place sees that at another: itself, what is before it in its completion, and the prompt.
    pub fn sees(&self, at: usize, other: usize) -> bool {
        match (self.branches.get(at), self.branches.get(other)) {
            (Some(mine), Some(its)) => other <= at && (its == mine || *its == 0),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The "log-probability" of a token after what it sees, order and positions included: any leak changes it.
    fn score(seen: &[(u32, usize)], next: u32) -> f64 {
        let state = seen
            .iter()
            .fold(1.0, |state: f64, (id, place)| (state * 1.7 + f64::from(*id) * 0.31 + *place as f64 * 0.07).sin());
        -(state - f64::from(next) * 0.013).abs()
    }

    fn alone(row: &TokenRow) -> Vec<f64> {
        let seen: Vec<_> = row.ids.iter().copied().zip(0..).collect();
        let scored = (1..row.ids.len()).filter(|at| row.mask[*at]);
        scored.map(|at| score(&seen[..at], row.ids[at])).collect()
    }

    fn rows() -> impl Strategy<Value = Vec<TokenRow>> {
        let row = prop::collection::vec((0u32..9, any::<bool>()), 1..7).prop_map(|tokens| {
            let (ids, mask) = tokens.into_iter().unzip();
            TokenRow { ids, mask }
        });
        prop::collection::vec(row, 1..6)
    }

    proptest! {
        #[test]
        fn d25_packed_sequences_score_what_they_score_alone(rows in rows()) {
            let flat = Flat::new(&rows, Attention::Isolates).unwrap();
            let mut packed = Vec::new();
            for bounds in flat.cu_seqlens.windows(2) {
                let seen: Vec<_> = (bounds[0]..bounds[1]).map(|at| (flat.ids[at], flat.position_ids[at])).collect();
                for at in bounds[0]..bounds[1] {
                    if flat.labels[at] != IGNORED {
                        packed.push(score(&seen[..at - bounds[0]], flat.labels[at] as u32));
                    }
                }
            }
            let alone: Vec<f64> = rows.iter().flat_map(alone).collect();
            prop_assert_eq!(packed, alone);
        }

        #[test]
        fn completions_that_share_a_prompt_score_what_they_score_apart(
            prompt in prop::collection::vec(0u32..9, 1..5),
            rows in rows(),
        ) {
            let parts: Vec<_> = rows.iter().map(|row| Part { ids: &row.ids, mask: Some(&row.mask) }).collect();
            let shared = SharedPrompt::new(&prompt, &parts, Attention::Isolates).unwrap();
            let together: Vec<f64> = shared.scored.iter().map(|(source, place)| {
                let seen: Vec<_> = (0..=*source).filter(|other| shared.sees(*source, *other)).collect();
                let seen: Vec<_> = seen.into_iter().map(|at| (shared.ids[at], shared.position_ids[at])).collect();
                score(&seen, shared.ids[*place])
            }).collect();
            let apart = rows.iter().flat_map(|row| alone(&TokenRow {
                ids: [&prompt[..], &row.ids].concat(),
                mask: [vec![false; prompt.len()], row.mask.clone()].concat(),
            }));
            prop_assert_eq!(together, apart.collect::<Vec<_>>());
        }

        #[test]
        fn no_token_is_lost_or_doubled(lengths in prop::collection::vec(0usize..20, 0..30), capacity in 1usize..12) {
            for packing in [Packing::Bfd, Packing::BfdSplit, Packing::Wrapped] {
                let rows = pack(&lengths, capacity, packing).unwrap();
                let mut tokens: Vec<_> = rows.iter().flatten().flat_map(|p| p.range.clone().map(|at| (p.sequence, at))).collect();
                tokens.sort_unstable();
                let kept = |len: &usize| if packing == Packing::Bfd { capacity.min(*len) } else { *len };
                let all: Vec<_> = lengths.iter().enumerate().flat_map(|(n, len)| (0..kept(len)).map(move |at| (n, at))).collect();
                prop_assert_eq!(tokens, all);
                prop_assert!(rows.iter().all(|row| row.iter().map(|p| p.range.len()).sum::<usize>() <= capacity));
            }
        }
    }

    #[test]
    fn d25_packing_for_an_attention_that_sees_the_row_is_refused() {
        let rows = [TokenRow::of(&[1], &[2]), TokenRow::of(&[3], &[4])];
        let error = Flat::new(&rows, Attention::SeesRow).unwrap_err().to_string();
        assert!(error.starts_with("E_PACKING_UNSAFE: several sequences"), "{error}");
        assert!(Flat::new(&rows[..1], Attention::SeesRow).is_ok());
        let parts = [Part::all(&[1]), Part::all(&[2])];
        assert!(SharedPrompt::new(&[0], &parts, Attention::SeesRow).is_err());
        assert!(SharedPrompt::new(&[0], &parts[..1], Attention::SeesRow).is_ok());
    }

    #[test]
    fn each_sequence_goes_where_it_leaves_the_least_room() {
        let numbers = |lengths: &[usize], capacity| -> Vec<Vec<usize>> {
            let rows = pack(lengths, capacity, Packing::Bfd).unwrap();
            rows.iter().map(|row| row.iter().map(|piece| piece.sequence).collect()).collect()
        };
        // 6 and 5 open rows; 3 leaves 1 beside 6 and 2 beside 5; 2 then fits beside 5 only.
        assert_eq!(numbers(&[2, 3, 5, 6], 10), [vec![3, 1], vec![2, 0]]);
        // Of two rows that are equally full the first.
        assert_eq!(numbers(&[3, 3, 1], 4), [vec![0, 2], vec![1]]);
        assert_eq!(
            pack(&[1], 0, Packing::Bfd).unwrap_err().to_string(),
            "`capacity`: expected at least 1 token, got 0"
        );
        assert!(pack_pairs(&[], 0).is_err());
        assert_eq!(pack_pairs(&[(4, 4)], 8).unwrap(), (vec![vec![0]], vec![]));
    }

    #[test]
    fn pieces_are_parts_of_their_rows() {
        let rows = [TokenRow::of(&[1], &[2, 3])];
        let pieces = [Piece { sequence: 0, range: 1..3 }, Piece { sequence: 7, range: 0..1 }];
        assert_eq!(Flat::pieces(&rows, &pieces), [TokenRow { ids: vec![2, 3], mask: vec![true, true] }]);
    }

    #[test]
    fn completions_without_a_prompt_have_a_first_token_that_nothing_predicts() {
        let row = SharedPrompt::new(&[], &[Part::all(&[3, 4])], Attention::Isolates).unwrap();
        assert_eq!(row.scored, [(0, 1)]);
        assert!(!row.sees(9, 0) && !row.sees(0, 9) && !row.sees(0, 1));
        assert_eq!(Flat::new(&[TokenRow::default()], Attention::SeesRow).unwrap().cu_seqlens, [0]);
    }
}
