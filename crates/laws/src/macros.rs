//! One test for each loss: the macros of the families.

/// A test that a loss obeys its laws: `laws!(name_of_the_test, subject)`, with any [`Subject`](crate::Subject).
///
/// # Example
/// ```
/// # use accordant_laws::{Evaluated, Subject, Tensors};
/// # fn my_loss(_: &Tensors) -> Result<Evaluated, String> { Err(String::new()) }
/// accordant_laws::laws!(my_loss_obeys_the_laws, Subject::pairwise("my loss", &my_loss));
/// ```
#[macro_export]
macro_rules! laws {
    ($test:ident, $subject:expr $(,)?) => {
        #[test]
        fn $test() {
            $crate::announce::assert_laws(&$subject);
        }
    };
}

/// A test that a `PairwiseObjective` of `accordant-objectives` obeys the laws for pairs.
///
/// ```text
/// pairwise_laws!(name_of_the_test, "method", objective, ["column" => Range, ..], [Property, ..]);
/// ```
///
/// Columns and properties are written without their enum's name: `["reward_gaps" => Real(-2.0, 2.0)]`,
/// `[ShiftInvariant, AtReference(2f64.ln())]`. `method, except "law" because "reason"` leaves a law out.
#[macro_export]
macro_rules! pairwise_laws {
    ($test:ident, $name:expr, $objective:expr, [$($column:expr => $range:expr),* $(,)?], [$($property:expr),* $(,)?]
        $(, except $law:literal because $reason:literal)* $(,)?) => {
        #[test]
        fn $test() {
            #[allow(unused_imports, reason = "a subject may claim nothing and read nothing")]
            use $crate::{Property::*, Range::*};
            let loss = $crate::pairwise_loss!($objective);
            let subject = $crate::Subject::pairwise($name, &loss).on(::burn::tensor::Device::flex());
            $(let subject = subject.column($column, $range);)*
            $(let subject = subject.declare($property);)*
            $(let subject = subject.except($law, $reason);)*
            $crate::announce::assert_laws(&subject);
        }
    };
}

/// A `PairwiseObjective` of `accordant-objectives` as a [`Loss`](crate::Loss), for a [`Subject`](crate::Subject) of one's
/// own: `let loss = pairwise_loss!(objective);`.
#[macro_export]
macro_rules! pairwise_loss {
    ($objective:expr) => {{
        let objective = $objective;
        move |t: &$crate::Tensors| -> ::std::result::Result<$crate::Evaluated, ::std::string::String> {
            let output = ::accordant_objectives::pairwise::evaluate_tokens(
                &objective,
                t.policy.clone(),
                t.reference.clone(),
                t.mask.clone(),
                &t.columns,
                // Of first responses, the only kind that the laws know the mean length of.
                t.tokens_per_item.as_ref().map(::std::slice::from_ref),
            );
            $crate::__evaluated!(output)
        }
    }};
}

/// A test that an `UnpairedObjective` of `accordant-objectives` obeys the laws for single responses; written as
/// [`pairwise_laws!`](crate::pairwise_laws) is.
#[macro_export]
macro_rules! unpaired_laws {
    ($test:ident, $name:expr, $objective:expr, [$($column:expr => $range:expr),* $(,)?], [$($property:expr),* $(,)?]
        $(, except $law:literal because $reason:literal)* $(,)?) => {
        #[test]
        fn $test() {
            #[allow(unused_imports, reason = "a subject may claim nothing and read nothing")]
            use $crate::{Property::*, Range::*};
            let objective = $objective;
            let loss = |t: &$crate::Tensors| -> ::std::result::Result<$crate::Evaluated, ::std::string::String> {
                let mut columns = t.columns.clone();
                let desirable = columns.remove("desirable").ok_or("a batch without `desirable`")?;
                let output = ::accordant_objectives::unpaired::evaluate_tokens(
                    &objective,
                    t.policy.clone(),
                    t.reference.clone(),
                    t.mask.clone(),
                    desirable.greater_elem(0.5),
                    &columns,
                    t.tokens_per_item,
                );
                $crate::__evaluated!(output)
            };
            let subject = $crate::Subject::unpaired($name, &loss).on(::burn::tensor::Device::flex());
            $(let subject = subject.column($column, $range);)*
            $(let subject = subject.declare($property);)*
            $(let subject = subject.except($law, $reason);)*
            $crate::announce::assert_laws(&subject);
        }
    };
}

/// A test that a `ListwiseObjective` of `accordant-objectives` obeys the laws for lists; written as
/// [`pairwise_laws!`](crate::pairwise_laws) is.
#[macro_export]
macro_rules! listwise_laws {
    ($test:ident, $name:expr, $objective:expr, [$($column:expr => $range:expr),* $(,)?], [$($property:expr),* $(,)?]
        $(, except $law:literal because $reason:literal)* $(,)?) => {
        #[test]
        fn $test() {
            #[allow(unused_imports, reason = "a subject may claim nothing and read nothing")]
            use $crate::{Property::*, Range::*};
            let objective = $objective;
            let loss = |t: &$crate::Tensors| -> ::std::result::Result<$crate::Evaluated, ::std::string::String> {
                let output = ::accordant_objectives::listwise::evaluate_tokens(
                    &objective,
                    t.policy.clone(),
                    t.reference.clone(),
                    t.mask.clone(),
                    t.valid.clone(),
                    t.num_responses,
                    &t.columns,
                    &t.response_columns,
                );
                $crate::__evaluated!(output)
            };
            let subject = $crate::Subject::listwise($name, &loss).on(::burn::tensor::Device::flex());
            $(let subject = subject.column($column, $range);)*
            $(let subject = subject.declare($property);)*
            $(let subject = subject.except($law, $reason);)*
            $crate::announce::assert_laws(&subject);
        }
    };
}

/// A test that a `RolloutObjective` of `accordant-objectives` obeys the laws for rollouts: rewards, advantages and loss
/// together. Written as [`pairwise_laws!`](crate::pairwise_laws) is; columns are those of responses besides `rewards`, and
/// of their tokens where the range says so (`"values" => Tokens(-1.0, 1.0)`).
#[macro_export]
macro_rules! rollout_laws {
    ($test:ident, $name:expr, $objective:expr, [$($column:expr => $range:expr),* $(,)?], [$($property:expr),* $(,)?]
        $(, except $law:literal because $reason:literal)* $(,)?) => {
        #[test]
        fn $test() {
            #[allow(unused_imports, reason = "a subject may claim nothing and read nothing")]
            use $crate::{Property::*, Range::*};
            let loss = $crate::rollout_loss!($objective);
            let subject = $crate::Subject::rollouts($name, &loss).on(::burn::tensor::Device::flex());
            $(let subject = subject.response_column($column, $range);)*
            $(let subject = subject.declare($property);)*
            $(let subject = subject.except($law, $reason);)*
            $crate::announce::assert_laws(&subject);
        }
    };
}

/// A `RolloutObjective` of `accordant-objectives` as a [`Loss`](crate::Loss), for a [`Subject`](crate::Subject) of one's
/// own: `let loss = rollout_loss!(objective);`, or `rollout_loss!(boxed objective)` for one that was chosen by name.
#[macro_export]
macro_rules! rollout_loss {
    (boxed $objective:expr) => {
        $crate::__rollouts!(::accordant_objectives::rollout::evaluate_tokens, $objective, boxed, boxed.as_ref())
    };
    ($objective:expr) => {
        $crate::__rollouts!(::accordant_objectives::rollout::evaluate_tokens, $objective, objective, &objective)
    };
}

/// A test that an `Estimator` of `accordant-objectives` obeys the laws for rollouts, as the loss `Σ −A log π`; written as
/// [`rollout_laws!`](crate::rollout_laws) is.
#[macro_export]
macro_rules! advantage_laws {
    ($test:ident, $name:expr, $estimator:expr, [$($column:expr => $range:expr),* $(,)?], [$($property:expr),* $(,)?]
        $(, except $law:literal because $reason:literal)* $(,)?) => {
        #[test]
        fn $test() {
            #[allow(unused_imports, reason = "a subject may claim nothing and read nothing")]
            use $crate::{Property::*, Range::*};
            let loss = $crate::advantage_loss!($estimator);
            let subject = $crate::Subject::advantages($name, &loss).on(::burn::tensor::Device::flex());
            $(let subject = subject.response_column($column, $range);)*
            $(let subject = subject.declare($property);)*
            $(let subject = subject.except($law, $reason);)*
            $crate::announce::assert_laws(&subject);
        }
    };
}

/// An `Estimator` of `accordant-objectives` as a [`Loss`](crate::Loss), for a [`Subject`](crate::Subject) of one's own:
/// `let loss = advantage_loss!(estimator);`, or `advantage_loss!(boxed estimator)` for one that was chosen by name.
#[macro_export]
macro_rules! advantage_loss {
    (boxed $estimator:expr) => {
        $crate::__rollouts!(::accordant_objectives::rollout::evaluate_estimator, $estimator, boxed, boxed.as_ref())
    };
    ($estimator:expr) => {
        $crate::__rollouts!(::accordant_objectives::rollout::evaluate_estimator, $estimator, estimator, &estimator)
    };
}

/// `evaluate` of a method on rollouts, as a [`Loss`](crate::Loss).
#[doc(hidden)]
#[macro_export]
macro_rules! __rollouts {
    ($evaluate:path, $value:expr, $name:ident, $method:expr) => {{
        let $name = $value;
        move |t: &$crate::Tensors| -> ::std::result::Result<$crate::Evaluated, ::std::string::String> {
            let output = $evaluate(
                $method,
                t.policy.clone(),
                t.reference.clone(),
                t.mask.clone(),
                &t.groups,
                &t.tokens,
                &t.response_columns,
                &t.parts,
            );
            let output = output.map_err(|error| ::std::string::ToString::to_string(&error))?;
            ::std::result::Result::Ok($crate::Evaluated {
                losses: output.losses,
                weights: output.weights,
                loss: output.loss,
                numerator: output.numerator,
                denominator: output.denominator,
                logged: ::std::vec::Vec::new(),
                advantages: ::std::option::Option::Some(output.advantages),
            })
        }
    }};
}

/// What the families' `evaluate_tokens` returns, as an [`Evaluated`](crate::Evaluated).
#[doc(hidden)]
#[macro_export]
macro_rules! __evaluated {
    ($output:expr) => {{
        let output = $output.map_err(|error| ::std::string::ToString::to_string(&error))?;
        ::std::result::Result::Ok($crate::Evaluated {
            losses: output.losses,
            weights: output.weights,
            loss: output.loss,
            numerator: output.numerator,
            denominator: output.denominator,
            logged: output.logged,
            advantages: ::std::option::Option::None,
        })
    }};
}
