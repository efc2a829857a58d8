//! Embeddings that give a skew-symmetric matrix back exactly.
//!
//! **Paper:** Beyond Bradley-Terry Models: A General Preference Model for Language Model Alignment (2024), 2410.02197: that
//! embeddings of width 2k express every matrix of rank 2k.
//! **Use when:** a matrix of leads is there already: to see how many dimensions it has, or to start a model from it.
//! **Checked by:** reconstruction of random matrices to 1e-8, repeated eigenvalues, hand-worked matrices, the scores on
//! tensors.
//! **Deviations:** by the eigenvectors of the Hermitian matrix `iS` instead of a real Schur form: the same planes, and
//! repeated eigenvalues need no care.

use nalgebra::{Complex, DMatrix};

use super::matrix::check_skew;
use crate::{Result, error::check_length};

/// Embeddings of the items of a table, and how much each of their blocks explains.
#[derive(Debug, Clone, PartialEq)]
pub struct SkewEmbedding {
    /// The embedding of each item, of width 2k: block `l` at `2l` and `2l + 1`. The roots of the eigenvalues are in them.
    pub embeddings: Vec<Vec<f64>>,
    /// The eigenvalues of the blocks, the largest first, all > 0; the matrix has each of them as `±iλ`.
    pub eigenvalues: Vec<f64>,
    /// The share of the squares of the matrix that these blocks explain, in [0, 1]; 1 of a matrix of zeros.
    pub explained: f64,
}

/// The lead of one embedding over another; on tensors [`super::gpm::skew_scores`].
///
/// # Errors
/// [`crate::Error::Length`] naming `second`.
///
/// # Example
/// ```
/// use accordant_preference::general::embedding::skew_score;
/// assert_eq!(skew_score(&[3.0, 1.0], &[2.0, 5.0])?, 13.0); // 3·5 − 1·2
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn skew_score(first: &[f64], second: &[f64]) -> Result<f64> {
    check_length("second", first.len(), second.len())?;
    let blocks = first.chunks_exact(2).zip(second.chunks_exact(2));
    Ok(blocks.map(|(a, b)| a[0] * b[1] - a[1] * b[0]).sum())
}

/// Embeddings whose leads are those of a skew-symmetric matrix, or the nearest with at most `max_blocks` blocks.
///
/// ```text
/// iS z = λ z, z = p + iq  ⇒  S = Σ_{λ>0} 2λ (q pᵀ − p qᵀ),   so block l of item i is √(2λ_l) (q_l[i], p_l[i])
/// ```
///
/// Blocks of less than 1e-12 of the largest eigenvalue are left out; a matrix of rank 2k needs k.
///
/// # Errors
/// [`crate::Error::Empty`] without an item, [`crate::Error::Length`] for a row of another length, [`crate::Error::Record`] for
/// what is not finite or not the opposite of the exchanged pair's.
///
/// # Example
/// ```
/// use accordant_preference::general::embedding::{embed_from_matrix, skew_score};
/// let cycle = [vec![0.0, 1.0, -1.0], vec![-1.0, 0.0, 1.0], vec![1.0, -1.0, 0.0]];
/// let found = embed_from_matrix(&cycle, None)?;
/// assert_eq!(found.eigenvalues.len(), 1); // √3: one block is all there is
/// let lead = skew_score(&found.embeddings[0], &found.embeddings[1])?;
/// assert!((lead - 1.0).abs() < 1e-12);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
#[doc(alias = "2410.02197")]
#[doc(alias = "Schur decomposition")]
pub fn embed_from_matrix(leads: &[Vec<f64>], max_blocks: Option<usize>) -> Result<SkewEmbedding> {
    check_skew("leads", leads)?;
    let n = leads.len();
    // Half the difference of the two orders: exactly Hermitian whatever the rounding of the input.
    let hermitian = DMatrix::from_fn(n, n, |i, j| Complex::new(0.0, (leads[i][j] - leads[j][i]) / 2.0));
    let total: f64 = hermitian.iter().map(|x| x.im * x.im).sum();
    let eigen = hermitian.symmetric_eigen();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
    let floor = 1e-12 * order.first().map_or(0.0, |&first| eigen.eigenvalues[first]);
    // One of each pair ±λ.
    let positive = order.into_iter().filter(|&at| eigen.eigenvalues[at] > floor).take(n / 2);
    let kept: Vec<usize> = positive.take(max_blocks.unwrap_or(n)).collect();
    let eigenvalues: Vec<f64> = kept.iter().map(|&at| eigen.eigenvalues[at]).collect();
    let embed = |item: usize| {
        let block = |&at: &usize| {
            let (scale, z) = ((2.0 * eigen.eigenvalues[at]).sqrt(), eigen.eigenvectors[(item, at)]);
            [scale * z.im, scale * z.re]
        };
        kept.iter().flat_map(block).collect()
    };
    let explained = match total {
        0.0 => 1.0,
        total => (eigenvalues.iter().map(|value| 2.0 * value * value).sum::<f64>() / total).min(1.0),
    };
    Ok(SkewEmbedding { embeddings: (0..n).map(embed).collect(), eigenvalues, explained })
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, Tensor, TensorData};
    use rand::Rng;

    use super::*;
    use crate::{
        general::gpm::skew_scores,
        random::{Purpose, stream},
    };

    fn random(n: usize, index: u32) -> Vec<Vec<f64>> {
        let mut rng = stream(3, Purpose::World, index);
        let mut rows = vec![vec![0.0; n]; n];
        for (i, j) in (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j))) {
            rows[i][j] = rng.random_range(-2.0..2.0);
            rows[j][i] = -rows[i][j];
        }
        rows
    }

    fn largest_error(rows: &[Vec<f64>], found: &SkewEmbedding) -> f64 {
        let mut largest: f64 = 0.0;
        for (i, row) in rows.iter().enumerate() {
            for (j, lead) in row.iter().enumerate() {
                let got = skew_score(&found.embeddings[i], &found.embeddings[j]).unwrap();
                largest = largest.max((got - lead).abs());
            }
        }
        largest
    }

    #[test]
    fn the_unit_of_the_leads_does_not_matter() {
        for unit in [1e-9, 1.0, 1e9] {
            let rows: Vec<Vec<f64>> = random(5, 1).iter().map(|row| row.iter().map(|x| unit * x).collect()).collect();
            let found = embed_from_matrix(&rows, None).unwrap();
            assert_eq!(found.eigenvalues.len(), 2);
            assert!(largest_error(&rows, &found) < 1e-12 * unit);
        }
    }

    #[test]
    fn random_matrices_come_back() {
        for (index, n) in [1, 2, 3, 6, 7, 20, 41].into_iter().enumerate() {
            let rows = random(n, index as u32);
            let found = embed_from_matrix(&rows, None).unwrap();
            assert!(largest_error(&rows, &found) <= 1e-8, "{n} items");
            assert_eq!(found.eigenvalues.len(), n / 2);
            assert!(found.eigenvalues.windows(2).all(|pair| pair[0] >= pair[1]));
            assert!((found.explained - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn repeated_eigenvalues_and_a_low_rank_come_back() {
        // Two cycles beside each other have each eigenvalue twice, and two items that are like two others change no rank.
        let cycle = |i: usize, j: usize| [0.0, 1.0, -1.0][(j + 3 - i) % 3];
        let lead = |i: usize, j: usize| if (i % 6) / 3 == (j % 6) / 3 { cycle(i % 3, j % 3) } else { 0.0 };
        let rows: Vec<Vec<f64>> = (0..8).map(|i| (0..8).map(|j| lead(i, j)).collect()).collect();
        let found = embed_from_matrix(&rows, None).unwrap();
        assert!(largest_error(&rows, &found) <= 1e-8);
        assert_eq!((found.eigenvalues.len(), found.embeddings[0].len()), (2, 4));
    }

    #[test]
    fn a_score_is_one_block_and_a_cycle_has_the_root_of_three() {
        let scores = [0.5, -1.0, 2.0, 0.1];
        let rows: Vec<Vec<f64>> = scores.map(|a| scores.map(|b| a - b).to_vec()).to_vec();
        let found = embed_from_matrix(&rows, None).unwrap();
        assert_eq!(found.eigenvalues.len(), 1, "{:?}", found.eigenvalues);
        assert!(largest_error(&rows, &found) <= 1e-8);
        let cycle = [vec![0.0, 1.0, -1.0], vec![-1.0, 0.0, 1.0], vec![1.0, -1.0, 0.0]];
        assert!((embed_from_matrix(&cycle, None).unwrap().eigenvalues[0] - 3f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn fewer_blocks_explain_what_their_eigenvalues_say() {
        let rows = random(9, 50);
        let all = embed_from_matrix(&rows, None).unwrap();
        let two = embed_from_matrix(&rows, Some(2)).unwrap();
        assert_eq!(two.eigenvalues, all.eigenvalues[..2]);
        let squares = |values: &[f64]| values.iter().map(|x| x * x).sum::<f64>();
        let share = squares(&two.eigenvalues) / squares(&all.eigenvalues);
        assert!((two.explained - share).abs() < 1e-12 && share < 1.0);
        // What is left over is what is not explained.
        let mut left = 0.0;
        for (i, row) in rows.iter().enumerate() {
            for (j, lead) in row.iter().enumerate() {
                left += (skew_score(&two.embeddings[i], &two.embeddings[j]).unwrap() - lead).powi(2);
            }
        }
        let total: f64 = rows.iter().map(|row| squares(row)).sum();
        assert!((left / total - (1.0 - two.explained)).abs() < 1e-10);
    }

    #[test]
    fn the_tensor_face_has_the_same_leads() {
        let rows = random(5, 9);
        let found = embed_from_matrix(&rows, None).unwrap();
        let side = |pick: fn(usize) -> usize| {
            let values: Vec<f64> = (0..25).flat_map(|at| found.embeddings[pick(at)].clone()).collect();
            Tensor::<2>::from_data(TensorData::new(values, [25, 4]), (&Device::flex(), DType::F64))
        };
        let leads = skew_scores(side(|at| at / 5), side(|at| at % 5), None).unwrap().try_to_vec_as::<f64>().unwrap();
        assert!(leads.iter().zip(rows.iter().flatten()).all(|(a, b)| (a - b).abs() < 1e-10));
    }

    #[test]
    fn nothing_to_embed_and_what_is_not_skew() {
        let even = embed_from_matrix(&[vec![0.0; 2], vec![0.0; 2]], None).unwrap();
        assert_eq!((even.eigenvalues.len(), even.embeddings[1].len(), even.explained), (0, 0, 1.0));
        assert!(embed_from_matrix(&[], None).is_err());
        let error = embed_from_matrix(&[vec![0.0, 1.0], vec![1.0, 0.0]], None).unwrap_err();
        assert!(error.to_string().contains("`leads`: expected the opposite"), "{error}");
        assert!(skew_score(&[1.0, 2.0], &[1.0]).unwrap_err().to_string().starts_with("`second`"));
    }
}
