//! Every pairwise method.

use accordant_objectives::{
    Domain, Error, Options, State,
    pairwise::{PairBatch, PairLogps, PairOutput, PairwiseObjective, methods},
};
use accordant_ops::SequenceLogps;
use burn::tensor::{Device, Tensor};

use super::{Numbers, noise, vector};

/// Adds all that a method declares, and what it carries from batch to batch. Third responses are the chosen ones.
fn complete(mut batch: PairBatch, objective: &dyn PairwiseObjective, device: &Device) -> PairBatch {
    for (i, column) in objective.columns().into_iter().enumerate() {
        let values = |low, high| noise(20 + i, batch.len(), low, high);
        let whole = |below| values(0.0, below).iter().map(|x| x.floor()).collect();
        let values = match column.domain {
            Domain::Real => values(-1.0, 1.0),
            Domain::Unit => values(0.0, 1.0),
            Domain::Binary => whole(2.0),
            Domain::Id => whole(8.0),
        };
        batch = batch.with_column(column, vector(&values, device)).unwrap();
    }
    for (i, term) in objective.terms().into_iter().enumerate() {
        let values = noise(40 + i, batch.len(), 0.0, 2.0);
        batch = batch.with_term(term, vector(&values, device)).unwrap();
    }
    for extra in objective.extras() {
        let reference = batch.reference().map(|reference| reference.chosen.clone()).filter(|_| extra.needs_reference);
        let policy = batch.policy().chosen.clone();
        batch = batch.with_extra(extra, policy, reference).unwrap();
    }
    let mut state = State::default();
    objective.observe(&mut state, &batch).unwrap();
    batch.with_state(state)
}

/// Losses that depend on all leaves, of which a method may not read one: by a term that is 0, with gradient 0.
fn on_all(losses: Tensor<1>, leaves: &[Tensor<1>]) -> Tensor<1> {
    let nothing = |leaf: &Tensor<1>| leaf.clone().mask_fill(leaf.clone().equal(leaf.clone()), 0.0);
    leaves.iter().map(nothing).fold(losses, |sum, nothing| sum + nothing)
}

/// Methods whose bounds go with the dtype: what lies beyond them is not comparable. AlphaPO and χPO cap an exponent, ORPO the
/// probability of a response.
const BOUNDED_BY_DTYPE: [&str; 3] = ["alphapo", "chi_po", "orpo"];

/// Gives a batch a hook.
type Hook = fn(PairBatch, Tensor<1>) -> accordant_objectives::Result<PairBatch>;

/// Hooks, and the range of their numbers.
const HOOKS: [(Hook, f64, f64); 3] = [
    (PairBatch::with_weights, 0.0, 2.0),
    (PairBatch::with_margins, -0.5, 0.5),
    (PairBatch::with_label_probs, 0.5, 1.0),
];

/// Every method on 64 pairs: a tie, a pair at its reference, an empty side, and where the method takes them weights,
/// margins and doubtful labels. Then on log-ratios near ±1e4.
pub fn add(numbers: &mut Numbers, device: &Device) {
    let (n, counts) = (64, |seed| noise(seed, 64, 1.0, 60.0).iter().map(|x| x.floor()).collect::<Vec<_>>());
    let mut chosen_counts = counts(1);
    let (mut chosen, mut rejected) = (noise(2, n, -90.0, -1.0), noise(3, n, -90.0, -1.0));
    let near = |sums: &[f32], seed| sums.iter().zip(noise(seed, n, -6.0, 6.0)).map(|(a, b)| a + b).collect::<Vec<_>>();
    let (mut chosen_ref, mut rejected_ref) = (near(&chosen, 4), near(&rejected, 5));
    (rejected[0], rejected_ref[0]) = (chosen[0], chosen_ref[0]);
    (chosen_ref[1], rejected_ref[1]) = (chosen[1], rejected[1]);
    (chosen_counts[2], chosen[2], chosen_ref[2]) = (0.0, 0.0, 0.0);
    let far = [-1e4f32, -300.0, 0.0, 1e4];
    let far_rejected = [0.0f32, 1e4, -1e4, 300.0];
    let ones = vec![1.0; 4];

    let pairs = |chosen: &Tensor<1>, rejected: &Tensor<1>, counts: [&[f32]; 2]| {
        let side = |sums: &Tensor<1>, counts| SequenceLogps::new(sums.clone(), vector(counts, device)).unwrap();
        PairLogps::new(side(chosen, counts[0]), side(rejected, counts[1])).unwrap()
    };
    let batch = |leaves: &[Tensor<1>]| {
        let counts: [&[f32]; 2] = [&chosen_counts, &counts(6)];
        PairBatch::new(pairs(&leaves[0], &leaves[1], counts))
            .with_reference(pairs(&vector(&chosen_ref, device), &vector(&rejected_ref, device), counts))
            .unwrap()
    };
    let far_batch = |leaves: &[Tensor<1>]| {
        let (counts, zeros) = ([ones.as_slice(); 2], vector(&[0.0; 4], device));
        PairBatch::new(pairs(&leaves[0], &leaves[1], counts)).with_reference(pairs(&zeros, &zeros, counts)).unwrap()
    };
    for method in methods() {
        let objective = (method.build)(&Options::new()).expect("defaults are valid");
        let forward = |batch: PairBatch| {
            let plain = complete(batch, &*objective, device);
            // The hooks that it does not refuse; a short batch goes without.
            let hooks = HOOKS.iter().enumerate().take(if plain.len() == n { HOOKS.len() } else { 0 });
            let hooked = hooks.fold(plain, |batch, (i, (with, low, high))| {
                let given = with(batch.clone(), vector(&noise(7 + i, n, *low, *high), device)).unwrap();
                let refused = matches!(objective.forward(&given), Err(Error::NotTaken { .. }));
                if refused { batch } else { given }
            });
            objective.forward(&hooked).unwrap()
        };
        let name = |part: &str| format!("{}, {part}", method.name);
        let inputs = [chosen.clone(), rejected.clone()];
        numbers.add_with_gradients(&name("losses"), device, &inputs, |leaves| {
            // What an empty side has for a loss counts for nothing.
            let output = forward(batch(leaves));
            on_all(output.losses.mask_fill(output.weights.equal_scalar(0.0), 0.0), leaves)
        });
        let reduced = |output: PairOutput| output.reduce().unwrap().loss;
        numbers.add_with_gradients(&name("loss"), device, &inputs, |leaves| {
            on_all(reduced(forward(batch(leaves))), &leaves.iter().map(|leaf| leaf.clone().sum()).collect::<Vec<_>>())
        });
        let output = forward(batch(&inputs.map(|values| vector(&values, device))));
        numbers.add(name("chosen rewards"), &output.chosen_rewards);
        numbers.add(name("rejected rewards"), &output.rejected_rewards);
        if BOUNDED_BY_DTYPE.contains(&method.name) {
            continue;
        }
        let inputs = [far.to_vec(), far_rejected.to_vec()];
        numbers.add_with_gradients(&name("far losses"), device, &inputs, |leaves| {
            on_all(forward(far_batch(leaves)).losses, leaves)
        });
    }
}
