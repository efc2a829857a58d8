//! Which items can be compared with which at all.
//!
//! **Paper:** Solution of a Ranking Problem from Binary Comparisons (L. R. Ford, 1957): the likelihood of Bradley-Terry
//! scores has a maximum, and one up to a shift, exactly when no group of items has won all of its comparisons with the rest.

use crate::{Error, Result, WinMatrix};

/// The strongly connected components of the graph with an edge from each item to those that beat it or tied with it.
///
/// Weakest first: nobody in a component has beaten, or tied with, anybody in a later one. Items that met nobody are
/// components of their own. Members ascend.
///
/// # Example
/// ```
/// use accordant_preference::{Comparisons, graph::components};
/// let mut judged = Comparisons::new(3);
/// judged.push_win(0, 1, 1.0)?;
/// judged.push_win(1, 0, 1.0)?;
/// judged.push_win(2, 0, 1.0)?; // nobody has beaten 2
/// assert_eq!(components(&judged.wins()), [vec![0, 1], vec![2]]);
/// # Ok::<(), accordant_preference::Error>(())
/// ```
pub fn components(matrix: &WinMatrix) -> Vec<Vec<usize>> {
    let n = matrix.num_items();
    let above = |i: usize| (0..n).filter(move |&j| matrix.wins(j, i) > 0.0 || matrix.ties(j, i) > 0.0);
    // Tarjan's algorithm without recursion: a chain of a million items is no deep stack.
    let mut index = vec![usize::MAX; n];
    let mut low = vec![0; n];
    let mut on_stack = vec![false; n];
    let (mut stack, mut found, mut next) = (Vec::new(), Vec::new(), 0);
    for root in 0..n {
        if index[root] != usize::MAX {
            continue;
        }
        let mut path: Vec<(usize, std::vec::IntoIter<usize>)> = Vec::new();
        let mut enter = Some(root);
        loop {
            if let Some(node) = enter.take() {
                (index[node], low[node]) = (next, next);
                next += 1;
                stack.push(node);
                on_stack[node] = true;
                path.push((node, above(node).collect::<Vec<_>>().into_iter()));
            }
            let Some((node, edges)) = path.last_mut() else { break };
            let node = *node;
            match edges.next() {
                Some(to) if index[to] == usize::MAX => enter = Some(to),
                Some(to) if on_stack[to] => low[node] = low[node].min(index[to]),
                Some(_) => {}
                None => {
                    path.pop();
                    if let Some((parent, _)) = path.last() {
                        low[*parent] = low[*parent].min(low[node]);
                    }
                    if low[node] == index[node] {
                        let at = stack.iter().rposition(|&other| other == node).expect("a node is above its root");
                        let mut component = stack.split_off(at);
                        component.iter().for_each(|&member| on_stack[member] = false);
                        component.sort_unstable();
                        found.push(component);
                    }
                }
            }
        }
    }
    // Components come out strongest first: whatever an edge leads to is done before.
    found.reverse();
    found
}

/// Checks that the likelihood of scores has a maximum without any prior.
///
/// # Errors
/// [`Error::Empty`] for a table of fewer than two items, [`Error::NotIdentifiable`] with the components.
pub fn check_connected(matrix: &WinMatrix) -> Result<()> {
    if matrix.num_items() < 2 {
        return Err(Error::Empty { name: "items", reason: "there are fewer than two" });
    }
    match is_connected(matrix) {
        true => Ok(()),
        false => Err(Error::NotIdentifiable { components: components(matrix) }),
    }
}

/// Whether there is one component: the first item leads to all others, and all others to it. A table that is connected, as
/// nearly all that are fitted a thousand times are, needs no list of its components.
fn is_connected(matrix: &WinMatrix) -> bool {
    let held = |i: usize, j: usize| matrix.wins(i, j) + matrix.ties(i, j) > 0.0;
    leads_to_all(matrix.num_items(), held) && leads_to_all(matrix.num_items(), |i, j| held(j, i))
}

/// Whether edges lead from the first of `n` items to all others.
fn leads_to_all(n: usize, edge: impl Fn(usize, usize) -> bool) -> bool {
    let (mut seen, mut queue) = (vec![false; n], vec![0]);
    seen[0] = true;
    let mut next = 0;
    while let Some(&from) = queue.get(next) {
        next += 1;
        for (to, seen) in seen.iter_mut().enumerate() {
            if !*seen && edge(from, to) {
                *seen = true;
                queue.push(to);
            }
        }
    }
    queue.len() == n
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Comparisons, Outcome};

    fn matrix(num_items: usize, wins: &[(usize, usize)], ties: &[(usize, usize)]) -> WinMatrix {
        let mut judged = Comparisons::new(num_items);
        wins.iter().for_each(|&(a, b)| judged.push(a, b, Outcome::First).unwrap());
        ties.iter().for_each(|&(a, b)| judged.push(a, b, Outcome::Tie).unwrap());
        judged.wins()
    }

    #[test]
    fn a_cycle_is_one_component_and_a_chain_is_as_many_as_it_has_items() {
        assert_eq!(components(&matrix(3, &[(0, 1), (1, 2), (2, 0)], &[])), [vec![0, 1, 2]]);
        assert_eq!(components(&matrix(3, &[(0, 1), (1, 2)], &[])), [vec![2], vec![1], vec![0]]);
        assert_eq!(components(&matrix(3, &[], &[(0, 1), (2, 1)])), [vec![0, 1, 2]], "ties go both ways");
    }

    #[test]
    fn nobody_has_beaten_anybody_in_a_later_component() {
        let wins = [(0, 1), (1, 0), (2, 3), (3, 2), (0, 2), (4, 0), (4, 5), (5, 4)];
        let matrix = matrix(7, &wins, &[]);
        let components = components(&matrix);
        assert_eq!(components.iter().map(Vec::len).sum::<usize>(), 7);
        for (at, component) in components.iter().enumerate() {
            for later in components[at + 1..].iter().flatten() {
                assert!(component.iter().all(|&item| matrix.wins(item, *later) == 0.0));
            }
        }
        assert!(components.contains(&vec![6]), "who met nobody is alone");
    }

    #[test]
    fn a_long_chain_overflows_no_stack() {
        let wins: Vec<_> = (0..1999).map(|i| (i, i + 1)).collect();
        assert_eq!(components(&matrix(2000, &wins, &[])).len(), 2000);
    }

    #[test]
    fn one_component_is_what_leads_from_everywhere_to_everywhere() {
        let mut connected = 0;
        for code in 0..4u32.pow(6) {
            // Every table of four items whose pairs did not meet, or ended in one of three ways.
            let mut judged = Comparisons::new(4);
            for (at, (i, j)) in [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)].into_iter().enumerate() {
                let outcomes = [None, Some(Outcome::First), Some(Outcome::Second), Some(Outcome::Tie)];
                if let Some(outcome) = outcomes[(code / 4u32.pow(at as u32) % 4) as usize] {
                    judged.push(i, j, outcome).unwrap();
                }
            }
            let matrix = judged.wins();
            assert_eq!(is_connected(&matrix), components(&matrix).len() == 1, "{code}");
            connected += usize::from(is_connected(&matrix));
        }
        assert!(connected > 1000);
    }

    #[test]
    fn the_error_names_the_components() {
        let error = check_connected(&matrix(3, &[(0, 1), (1, 0), (2, 0)], &[])).unwrap_err();
        assert!(matches!(&error, Error::NotIdentifiable { components } if *components == [vec![0, 1], vec![2]]));
        assert!(matches!(check_connected(&WinMatrix::new(1)), Err(Error::Empty { name: "items", .. })));
        check_connected(&matrix(2, &[(0, 1), (1, 0)], &[])).unwrap();
    }
}
