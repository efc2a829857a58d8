//! The stationary distribution of a Markov chain.
//!
//! **Paper:** Regenerative Analysis and Steady State Distributions for Markov Chains (W. K. Grassmann, M. I. Taksar,
//! D. P. Heyman, 1985).

/// The stationary distribution of a chain in continuous time whose rate from state `i` to `j` is `rates[i n + j]`, ≥ 0; the
/// diagonal counts for nothing. None when the chain cannot get from everywhere to everywhere.
///
/// By elimination without a subtraction, so that small probabilities keep all their digits; `n³ / 3` steps.
pub(super) fn stationary(mut rates: Vec<f64>, n: usize) -> Option<Vec<f64>> {
    for last in (1..n).rev() {
        let (above, row) = rates.split_at_mut(last * n);
        let out: f64 = row[..last].iter().sum();
        // Without a way out, or with an infinite rate, chances come to be 0 or NaN.
        for from in above.chunks_exact_mut(n) {
            from[last] /= out;
            let through = from[last];
            if through > 0.0 {
                from[..last].iter_mut().zip(&row[..last]).for_each(|(rate, on)| *rate += through * on);
            }
        }
    }
    let mut chances = vec![1.0; n];
    for state in 1..n {
        chances[state] = (0..state).map(|from| chances[from] * rates[from * n + state]).sum();
    }
    let total: f64 = chances.iter().sum();
    chances.iter_mut().for_each(|chance| *chance /= total);
    chances.iter().all(|chance| *chance > 0.0).then_some(chances)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_states_share_their_time_by_the_rates_of_leaving() {
        let chances = stationary(vec![7.0, 3.0, 1.0, -5.0], 2).unwrap();
        assert!((chances[0] - 0.25).abs() < 1e-15 && (chances[1] - 0.75).abs() < 1e-15);
        assert_eq!(stationary(vec![0.0], 1).unwrap(), [1.0]);
    }

    #[test]
    fn nothing_flows_out_of_balance() {
        let rates: Vec<f64> = (0..25).map(|cell| ((cell * 7 + 3) % 11) as f64 * 10f64.powi(cell % 5 * 3)).collect();
        let chances = stationary(rates.clone(), 5).unwrap();
        for state in 0..5 {
            let others = || (0..5).filter(|&other| other != state);
            let flows_in: f64 = others().map(|from| chances[from] * rates[from * 5 + state]).sum();
            let flows_out: f64 = others().map(|to| chances[state] * rates[state * 5 + to]).sum();
            assert!((flows_in / flows_out - 1.0).abs() < 1e-14, "{state}: {flows_in} in, {flows_out} out");
        }
    }

    #[test]
    fn a_chain_with_a_trap_has_none() {
        // From 0 to 1, and never back; and the other way round.
        assert_eq!(stationary(vec![0.0, 1.0, 0.0, 0.0], 2), None);
        assert_eq!(stationary(vec![0.0, 0.0, 1.0, 0.0], 2), None);
        // A trap among three, wherever it is; and rates that are no numbers.
        let cycle = [[0.0, 1.0, 2.0], [3.0, 0.0, 4.0], [5.0, 6.0, 0.0]];
        assert!(stationary(cycle.concat(), 3).is_some());
        for trap in 0..3 {
            let mut rates = cycle;
            rates[trap] = [0.0; 3];
            assert_eq!(stationary(rates.concat(), 3), None);
        }
        for bad in [f64::INFINITY, f64::NAN] {
            for place in [1, 2, 3, 5, 6, 7] {
                let mut rates = cycle.concat();
                rates[place] = bad;
                assert_eq!(stationary(rates, 3), None, "{bad} at {place}");
            }
        }
    }
}
