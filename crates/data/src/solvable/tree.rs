//! The tree of all sequences that an episode of a few tokens can write.

use super::check;
use crate::Result;

/// What follows an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The state of this number.
    State(usize),
    /// The end; the sequence of this number was written.
    End(usize),
}

/// All states and sequences of an episode, numbered: a longer state comes after a shorter one.
///
/// # Example
/// ```
/// use accordant_data::solvable::tree::Tree;
/// let tree = Tree::new(2, 2, Some(1))?; // tokens 0 and 1; 1 ends the episode
/// assert_eq!(tree.states(), [vec![], vec![0]]);
/// assert_eq!(tree.sequences(), [vec![1], vec![0, 0], vec![0, 1]]);
/// # Ok::<(), accordant_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    vocab_size: usize,
    states: Vec<Vec<u32>>,
    next: Vec<Vec<Next>>,
    sequences: Vec<Vec<u32>>,
}

impl Tree {
    /// The tree of all sequences of `horizon` tokens below `vocab_size`, cut off after the token `end`.
    ///
    /// # Errors
    /// A domain error naming `vocab_size`, `horizon` (1 to 16) or `end`, also when there would be more than 1e5 sequences.
    pub fn new(vocab_size: usize, horizon: usize, end: Option<u32>) -> Result<Self> {
        const MOST: usize = 100_000;
        check((1..=MOST).contains(&vocab_size), "vocab_size", "from 1 to 1e5", vocab_size as f64)?;
        check((1..=16).contains(&horizon), "horizon", "from 1 to 16", horizon as f64)?;
        if let Some(end) = end {
            check((end as usize) < vocab_size, "end", "a token below `vocab_size`", f64::from(end))?;
        }
        let mut tree = Self { vocab_size, states: vec![Vec::new()], next: Vec::new(), sequences: Vec::new() };
        while let Some(state) = tree.states.get(tree.next.len()).cloned() {
            let mut row = Vec::with_capacity(vocab_size);
            for token in 0..vocab_size as u32 {
                let longer = [&state[..], &[token]].concat();
                if longer.len() == horizon || end == Some(token) {
                    row.push(Next::End(tree.sequences.len()));
                    tree.sequences.push(longer);
                } else {
                    row.push(Next::State(tree.states.len()));
                    tree.states.push(longer);
                }
            }
            tree.next.push(row);
            // Each state leads to a sequence of its own at least.
            let most = tree.sequences.len().max(tree.states.len());
            check(most <= MOST, "horizon", "at most 1e5 sequences of this vocabulary", horizon as f64)?;
        }
        Ok(tree)
    }

    /// Number of tokens.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The states in which a token is chosen, by number; the first is empty.
    pub fn states(&self) -> &[Vec<u32>] {
        &self.states
    }

    /// The sequences, by number.
    pub fn sequences(&self) -> &[Vec<u32>] {
        &self.sequences
    }

    /// `next()[state][token]`.
    pub fn next(&self) -> &[Vec<Next>] {
        &self.next
    }

    /// The states that a sequence passes, by number, and the sequence's own number; none if it is not one of them.
    pub fn path(&self, tokens: &[u32]) -> Option<(Vec<usize>, usize)> {
        let (mut states, mut state) = (Vec::new(), 0);
        for (position, &token) in tokens.iter().enumerate() {
            states.push(state);
            match *self.next[state].get(token as usize)? {
                Next::State(next) => state = next,
                Next::End(sequence) if position + 1 == tokens.len() => return Some((states, sequence)),
                Next::End(_) => return None,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_complete() {
        let tree = Tree::new(3, 3, None).unwrap();
        assert_eq!((tree.states().len(), tree.sequences().len()), (1 + 3 + 9, 27));
        assert_eq!(tree.path(&[2, 1, 0]).unwrap().1, 2 * 9 + 3);
        for wrong in [&[][..], &[0], &[0, 0, 3], &[0, 0, 0, 0]] {
            assert_eq!(tree.path(wrong), None, "{wrong:?}");
        }
        assert_eq!(Tree::new(1, 1, Some(0)).unwrap().sequences(), [[0]]);
    }

    #[test]
    fn mistakes_are_errors_by_name() {
        let tree = |vocab, horizon, end| Tree::new(vocab, horizon, end).unwrap_err().to_string();
        assert_eq!(tree(0, 2, None), "`vocab_size`: expected from 1 to 1e5, got 0");
        assert_eq!(tree(2, 17, None), "`horizon`: expected from 1 to 16, got 17");
        assert_eq!(tree(2, 2, Some(2)), "`end`: expected a token below `vocab_size`, got 2");
        assert!(tree(100, 5, None).starts_with("`horizon`: expected at most 1e5 sequences"));
    }
}
