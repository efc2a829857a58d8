//! Laws that every alignment loss must obey, and a report when one does not.
//!
//! A law is a statement about all batches: padding changes nothing, an item without weight gets no gradient, gradients are
//! the derivatives of values. [`check`](check::check) tests a loss, the [`Subject`], against all laws of its
//! [`Family`] and the [`Property`]s that it declares, on batches made by proptest: ragged, with empty responses, ties,
//! weights and soft labels, realistic or extreme. What fails is shrunk and says which law, on which batch, what was
//! expected and what came.
//!
//! | module | what is there |
//! |---|---|
//! | [`subject`], [`property`] | who is tested and what is claimed of it: **start here** |
//! | [`mod@check`] | running the laws; [`reduces_to`] for limits, [`check_devices`] for other devices |
//! | [`loss`], [`tensors`] | what a loss reads and returns |
//! | [`batch`], [`strategy`] | batches on the host, and how they are made |
//! | [`report`] | which laws ran, or which one does not hold |
//! | [`models`] | laws of score models: likelihoods of pairs, outcomes and lists |
//! | [`fits`] | laws of fits: scores from judged pairs, ranked lists and the pairs of users |
//! | [`gradient`] | finite differences for any function of a vector |
//! | [`distributions`] | laws of predicted distributions, their distances and their risk |
//! | [`announce`] | what [`laws!`], [`pairwise_laws!`], [`unpaired_laws!`], [`listwise_laws!`], [`rollout_laws!`] and [`advantage_laws!`] run |
//!
//! This crate knows no loss, and none of the crates whose losses it tests.
//!
//! # Example
//! A logistic loss on pairs. Forgetting to detach the reference, or to mask, or to divide by the weights, would be
//! reported by the law of that name.
//! ```
//! use accordant_laws::{Evaluated, Property, Subject, Tensors, check};
//! use burn::tensor::{Device, Tensor, activation::relu};
//!
//! fn logistic(t: &Tensors) -> Result<Evaluated, String> {
//!     let (n, [rows, seq]) = (t.num_items, t.policy.dims());
//!     let shapes_agree = t.reference.dims() == [rows, seq] && t.mask.dims() == [rows, seq];
//!     if n == 0 || !shapes_agree || t.columns.iter().any(|(name, column)| *name != "weights" || column.dims() != [n]) {
//!         return Err("no items, a wrong shape or an unknown column".to_owned());
//!     }
//!     let sum = |x: Tensor<2>| x.mask_fill(t.mask.clone().bool_not(), 0.0).sum_dim(1).squeeze_dim::<1>(1);
//!     let ratios = sum(t.policy.clone()) - sum(t.reference.clone().detach());
//!     let h = (ratios.clone().narrow(0, 0, n) - ratios.narrow(0, n, n)) * 0.1;
//!     let losses = relu(h.clone().neg()) + h.abs().neg().exp().log1p(); // softplus(-h)
//!     let tokens = t.mask.clone().float().cast(losses.dtype()).sum_dim(1).squeeze_dim::<1>(1);
//!     let tokens = tokens.clone().narrow(0, 0, n).min_pair(tokens.narrow(0, n, n));
//!     let weights = t.columns.get("weights").cloned().unwrap_or_else(|| losses.ones_like()).detach();
//!     let weights = weights.mask_fill(tokens.equal_scalar(0.0), 0.0);
//!     let numerator = (losses.clone() * weights.clone()).sum();
//!     let denominator = weights.clone().sum();
//!     let divisor = denominator.clone().mask_fill(denominator.clone().equal_scalar(0.0), 1.0);
//!     let loss = numerator.clone() / divisor;
//!     Ok(Evaluated { loss, losses, weights, numerator, denominator, logged: vec![], advantages: None })
//! }
//!
//! let subject = Subject::pairwise("logistic", &logistic)
//!     .on(Device::flex())
//!     .declare(Property::NoHook("margins"))
//!     .declare(Property::NoHook("label_probs"))
//!     .declare(Property::ShiftInvariant)
//!     .declare(Property::DecreasingInChosen)
//!     .declare(Property::SwapDifference(0.1))
//!     .declare(Property::AtReference(2f64.ln()));
//! let report = check(&subject)?;
//! assert!(report.cases() > 300);
//!
//! // A claim that does not hold comes back as the smallest batch that shows it.
//! let violation = check(&subject.declare(Property::UpperBound(1.0))).unwrap_err();
//! assert_eq!(violation.law, "upper bound");
//! assert_eq!(violation.input.unwrap().items.len(), 1);
//! # Ok::<(), accordant_laws::Violation>(())
//! ```

mod compare;
mod declared;
mod laws;
mod macros;
mod runner;

pub mod announce;
pub mod batch;
pub mod check;
pub mod distributions;
pub mod fits;
pub mod gradient;
pub mod loss;
pub mod models;
pub mod property;
pub mod report;
pub mod strategy;
pub mod subject;
pub mod tensors;

pub use batch::{Batch, Item, Response};
pub use check::{check, check_all, check_devices, law_names, reduces_to, reduces_to_after};
pub use loss::{Evaluated, Loss};
pub use property::{Divergence, Mean, Property, Ratio};
pub use report::{Report, Violation};
pub use subject::{Family, Range, Subject};
pub use tensors::Tensors;
