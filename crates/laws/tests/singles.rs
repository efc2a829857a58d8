//! The laws for single responses are themselves tested: each mistake is caught by the law that is about it.

use accordant_laws::{Property, Range, Subject};
use burn::tensor::Device;
use toys::{
    Wrong, expect_findings,
    singles::{Form, Mistake, Singles},
};

mod toys;

type Row = (&'static str, Mistake, &'static str, &'static [&'static str]);

fn zero(loss: &Singles) -> Subject<'_> {
    Subject::unpaired("toy zero", loss)
        .on(Device::flex())
        .declare(Property::ShiftSensitive)
        .declare(Property::DecreasingInDesirable)
        .declare(Property::IncreasingInUndesirable)
        .declare(Property::AtReference(0.5))
        .declare(Property::LowerBound(0.0))
        .declare(Property::UpperBound(1.0))
}

fn baseline(loss: &Singles) -> Subject<'_> {
    Subject::unpaired("toy kto", loss)
        .on(Device::flex())
        .column("kl", Range::Real(-2.0, 2.0))
        .declare(Property::BatchStatistics)
        .declare(Property::OwnGradient)
        .declare(Property::ShiftSensitive)
        .declare(Property::DecreasingInDesirable)
        .declare(Property::IncreasingInUndesirable)
        .declare(Property::UpperBound(1.0))
}

fn divergence(loss: &Singles) -> Subject<'_> {
    Subject::unpaired("toy kldo", loss)
        .on(Device::flex())
        .declare(Property::BatchStatistics)
        .declare(Property::AtReference(0.0))
        .declare(Property::DecreasingInDesirable)
        .declare(Property::IncreasingInUndesirable)
}

fn expect(form: Form, subject: for<'a> fn(&'a Singles) -> Subject<'a>, rows: &[Row]) {
    let toys: Vec<Singles> = rows.iter().map(|(_, mistake, ..)| Singles { form, mistake: *mistake }).collect();
    let wrong = toys.iter().zip(rows).map(|(toy, &(mistake, _, law, others))| Wrong {
        mistake,
        subject: subject(toy),
        law,
        others,
    });
    let wrong: Vec<_> = wrong.collect();
    expect_findings(&subject(&Singles { form, mistake: Mistake::None }), &wrong);
}

#[test]
fn mistakes_around_zero() {
    expect(
        Form::Zero,
        zero,
        &[
            ("classes swapped", Mistake::ClassesSwapped, "decreasing in desirable", &["increasing in undesirable"]),
            ("class ignored", Mistake::ClassIgnored, "`desirable` is read", &["increasing in undesirable"]),
            ("mean of class means", Mistake::MeanOfClassMeans, "reduction", &["weight zero", "micro-batches"]),
            ("padding counted", Mistake::PaddingCounted, "padding", &["masked columns", "behind the mask"]),
            (
                "empty responses counted",
                Mistake::EmptyResponsesCounted,
                "reduction",
                &["nothing counts", "weight zero"],
            ),
        ],
    );
}

#[test]
fn mistakes_around_a_baseline() {
    expect(
        Form::Baseline,
        baseline,
        &[
            ("baseline not detached", Mistake::BaselineNotDetached, "constants", &[]),
            ("baseline from the policy, not detached", Mistake::BaselineFromThePolicy, "own gradient", &[]),
        ],
    );
}

#[test]
fn mistakes_in_a_divergence() {
    expect(
        Form::Divergence,
        divergence,
        &[
            (
                "a class without items",
                Mistake::EmptyClass,
                "finite",
                &["f32", "finite differences", "finite differences, token by token", "at the reference"],
            ),
            ("exp without the maximum", Mistake::Exponential, "finite", &[]),
            ("classes swapped", Mistake::ClassesSwapped, "decreasing in desirable", &["increasing in undesirable"]),
        ],
    );
}
