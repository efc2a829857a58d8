//! Each law for pairs is itself tested: a correct loss obeys all, and each mistake is caught by the law that is about it.

use accordant_laws::{Property, Subject, check_devices, reduces_to};
use burn::tensor::Device;
use toys::{
    Wrong, expect_findings,
    pairs::{Form, Mistake, Pairs},
};

mod toys;

/// The mistake, the law that is about it, the other laws that see its consequences.
type Row = (&'static str, Mistake, &'static str, &'static [&'static str]);

fn dpo(loss: &Pairs) -> Subject<'_> {
    Subject::pairwise("toy dpo", loss)
        .on(Device::flex())
        .declare(Property::ShiftInvariant)
        .declare(Property::DecreasingInChosen)
        .declare(Property::IncreasingInRejected)
        .declare(Property::ConvexInMargin)
        .declare(Property::SwapDifference(0.5))
        .declare(Property::AtReference(std::f64::consts::LN_2))
        .declare(Property::LowerBound(0.0))
        .declare(Property::LabelProbMixes)
        .declare(Property::MarginShifts { beta: 0.5 })
}

fn ipo(loss: &Pairs) -> Subject<'_> {
    Subject::pairwise("toy ipo", loss)
        .on(Device::flex())
        .declare(Property::ShiftInvariant)
        .declare(Property::ConvexInMargin)
        .declare(Property::SwapDifference(2.0))
        .declare(Property::AtReference(1.0))
        .declare(Property::LowerBound(0.0))
        .declare(Property::LabelProbMixes)
        .declare(Property::MarginShifts { beta: 0.5 })
}

fn hinge(loss: &Pairs) -> Subject<'_> {
    Subject::pairwise("toy hinge", loss)
        .on(Device::flex())
        .declare(Property::ShiftInvariant)
        .declare(Property::DecreasingInChosen)
        .declare(Property::IncreasingInRejected)
        .declare(Property::ConvexInMargin)
        .declare(Property::AtReference(1.0))
        .declare(Property::LowerBound(0.0))
        .declare(Property::LabelProbMixes)
        .declare(Property::MarginShifts { beta: 0.5 })
}

fn simpo(loss: &Pairs) -> Subject<'_> {
    Subject::pairwise("toy simpo", loss)
        .on(Device::flex())
        .declare(Property::ReferenceFree)
        .declare(Property::ShiftInvariantPerToken)
        .declare(Property::ShiftSensitive)
        .declare(Property::DecreasingInChosen)
        .declare(Property::IncreasingInRejected)
        .declare(Property::SwapDifferencePerToken(0.5))
        .declare(Property::LabelProbMixes)
        .declare(Property::MarginShiftsPerToken { beta: 0.5 })
}

fn smoothed(loss: &Pairs) -> Subject<'_> {
    Subject::pairwise("toy cdpo", loss)
        .on(Device::flex())
        .declare(Property::ShiftInvariant)
        .declare(Property::ConvexInMargin)
        // β (1 − 2ε)
        .declare(Property::SwapDifference(0.5 * 0.8))
        .declare(Property::AtReference(std::f64::consts::LN_2))
        .declare(Property::LabelProbMixes)
}

fn regularized(loss: &Pairs) -> Subject<'_> {
    Subject::pairwise("toy rpo", loss)
        .on(Device::flex())
        .declare(Property::ShiftSensitive)
        .declare(Property::DecreasingInChosen)
        .declare(Property::IncreasingInRejected)
}

/// Tests a form of the loss and its mistakes.
fn expect(form: Form, subject: for<'a> fn(&'a Pairs) -> Subject<'a>, rows: &[Row]) {
    let toys: Vec<Pairs> = rows.iter().map(|(_, mistake, ..)| Pairs::new(form, *mistake)).collect();
    let wrong = toys.iter().zip(rows).map(|(toy, &(mistake, _, law, others))| Wrong {
        mistake,
        subject: subject(toy),
        law,
        others,
    });
    let wrong: Vec<_> = wrong.collect();
    expect_findings(&subject(&Pairs::new(form, Mistake::None)), &wrong);
}

#[test]
fn mistakes_in_dpo() {
    expect(Form::Dpo, dpo, DPO);
}

const DPO: &[Row] = &[
    ("sign flipped", Mistake::SignFlipped, "decreasing in chosen", &["increasing in rejected", "swap difference"]),
    ("reference not detached", Mistake::ReferenceNotDetached, "constants", &[]),
    ("weights not detached", Mistake::WeightsNotDetached, "constants", &[]),
    ("margins not detached", Mistake::MarginsNotDetached, "constants", &[]),
    ("mean for sum", Mistake::MeanForSum, "shift invariance", &["swap difference", "margin shifts"]),
    ("padding counted", Mistake::PaddingCounted, "padding", &["masked columns", "behind the mask"]),
    ("weight ignored", Mistake::WeightIgnored, "`weights` is read", &["nothing counts", "reduction", "weight zero"]),
    (
        "weight not in the denominator",
        Mistake::WeightNotInDenominator,
        "reduction",
        &["weight zero", "finite differences", "micro-batches"],
    ),
    ("weight + 1e-4", Mistake::WeightPlusEpsilon, "reduction", &["nothing counts", "weight zero"]),
    ("margin outside beta", Mistake::MarginOutsideBeta, "margin shifts", &[]),
    ("margin added", Mistake::MarginAdded, "margin shifts", &[]),
    ("margin ignored", Mistake::MarginIgnored, "`margins` is read", &["margin shifts"]),
    ("denominator of each micro-batch", Mistake::MeanForNumerator, "micro-batches", &["reduction"]),
    ("log(sigmoid)", Mistake::NaiveLogSigmoid, "finite", &["weight zero", "finite differences", "f32"]),
    ("log(1 + exp)", Mistake::NaiveSoftplus, "f32", &["finite", "finite differences"]),
    ("0 * NaN mask", Mistake::MaskByMultiplication, "behind the mask", &[]),
    (
        "off by one",
        Mistake::OffByOne,
        "padding",
        &[
            "reduction",
            "behind the mask",
            "masked columns",
            "weight zero",
            "batch size",
            "micro-batches",
            "shift invariance",
            "swap difference",
            "margin shifts",
        ],
    ),
    ("label probabilities ignored", Mistake::LabelsIgnored, "`label_probs` is read", &["label probability mixes"]),
    ("label probabilities reversed", Mistake::LabelsReversed, "`label_probs` 1", &["label probability mixes"]),
    (
        "no shape check",
        Mistake::NoShapeCheck,
        "shape of `weights`",
        &["shape of `mask`", "shape of `reference`", "shape of `label_probs`", "shape of `margins`"],
    ),
    ("pairs with an empty side counted", Mistake::EmptyPairsCounted, "reduction", &["nothing counts", "weight zero"]),
    ("metrics not detached", Mistake::MetricsNotDetached, "detached outputs", &[]),
    ("chosen detached", Mistake::ChosenDetached, "finite differences", &["finite differences, token by token"]),
    (
        "h / 2.86: f32 in the gradient",
        Mistake::ScalarDivision,
        "finite differences",
        &["finite differences, token by token", "swap difference", "margin shifts"],
    ),
    (
        "centered over the batch",
        Mistake::Centered,
        "batch size",
        &[
            "weight zero",
            "finite differences",
            "finite differences, token by token",
            "micro-batches",
            "swap difference",
            "margin shifts",
            "shift invariance",
        ],
    ),
    (
        "the next item's rejected response",
        Mistake::RejectedOfTheNextItem,
        "batch permutation",
        &[
            "weight zero",
            "batch size",
            "micro-batches",
            "shift invariance",
            "swap difference",
            "label probability mixes",
            "margin shifts",
        ],
    ),
    ("reference ignored", Mistake::ReferenceIgnored, "at the reference", &["swap difference"]),
    (
        "sums in f32",
        Mistake::SinglePrecisionInside,
        "finite differences",
        &[
            "reduction",
            "finite differences, token by token",
            "micro-batches",
            "shift invariance",
            "convex",
            "swap difference",
            "margin shifts",
        ],
    ),
    (
        "0 / 0 where nothing counts",
        Mistake::ZeroByZero,
        "nothing counts",
        &[
            "finite",
            "reduction",
            "batch permutation",
            "padding",
            "masked columns",
            "behind the mask",
            "weight zero",
            "finite differences",
            "`label_probs` 1",
            "`margins` 0",
            "`weights` 1",
        ],
    ),
    (
        "loss depends on the number of items",
        Mistake::NoiseFromBatchSize,
        "batch size",
        &["weight zero", "micro-batches", "swap difference", "at the reference"],
    ),
    ("h clipped", Mistake::Clipped, "convex", &["swap difference", "margin shifts"]),
    ("a panic without items", Mistake::Panics, "no items", &[]),
    (
        "everything detached",
        Mistake::AllDetached,
        "policy learns",
        &["finite differences", "finite differences, token by token"],
    ),
    ("weight squared", Mistake::WeightSquared, "`weights` outside the losses", &["`weights` is read"]),
    ("numerator detached", Mistake::NumeratorDetached, "reduction", &["micro-batches"]),
    (
        "gradient of the sum for the mean's",
        Mistake::GradientOfTheSum,
        "reduction",
        &["finite differences", "micro-batches", "weight zero", "nothing counts"],
    ),
];

#[test]
fn mistakes_in_ipo() {
    expect(
        Form::Ipo,
        ipo,
        &[
            ("sign flipped", Mistake::SignFlipped, "swap difference", &["margin shifts"]),
            ("mean for sum", Mistake::MeanForSum, "shift invariance", &["swap difference", "margin shifts"]),
            ("margin outside beta", Mistake::MarginOutsideBeta, "margin shifts", &[]),
        ],
    );
}

#[test]
fn mistakes_in_label_smoothing() {
    expect(Form::Smoothed, smoothed, &[("smoothing dropped", Mistake::SmoothingDropped, "swap difference", &[])]);
}

#[test]
fn mistakes_in_a_hinge() {
    expect(
        Form::Hinge,
        hinge,
        &[
            ("sign flipped", Mistake::SignFlipped, "decreasing in chosen", &["increasing in rejected"]),
            ("chosen detached", Mistake::ChosenDetached, "finite differences", &["finite differences, token by token"]),
        ],
    );
}

#[test]
fn mistakes_in_simpo() {
    expect(
        Form::SimPo,
        simpo,
        &[
            (
                "padding in the length",
                Mistake::PaddingInLength,
                "padding",
                &[
                    "nothing counts",
                    "masked columns",
                    "behind the mask",
                    "shift invariance per token",
                    "shift sensitivity",
                    "batch size",
                    "micro-batches",
                    "swap difference",
                    "margin shifts",
                    "reduction",
                    "weight zero",
                ],
            ),
            (
                "length by the last position",
                Mistake::LengthByPosition,
                "masked columns",
                &["padding", "behind the mask"],
            ),
        ],
    );
}

#[test]
fn mistakes_in_a_mean_over_all_tokens() {
    expect(
        Form::Regularized,
        regularized,
        &[
            (
                "the micro-batch's own mean length",
                Mistake::RegularizerPerMicroBatch,
                "micro-batches",
                &["batch size", "`weights` outside the losses"],
            ),
            (
                "tokens of silent items counted",
                Mistake::RegularizerOfSilentItems,
                "weight zero",
                &["micro-batches", "batch size", "`weights` is read"],
            ),
        ],
    );
}

#[test]
fn limits_and_devices() {
    let (one, other) = (Pairs::new(Form::Dpo, Mistake::None), Pairs::new(Form::Ipo, Mistake::None));
    reduces_to(&dpo(&one), &dpo(&one), 0.0).unwrap_or_else(|violation| panic!("{violation}"));
    let violation = reduces_to(&ipo(&other), &dpo(&one), 1e-9).unwrap_err();
    assert_eq!(violation.law, "reduces to toy dpo");
    assert_eq!(violation.input.expect("a batch").items.len(), 1, "shrunk");
    check_devices(&dpo(&one), &[Device::flex()]).unwrap_or_else(|violation| panic!("{violation}"));
    let naive = Pairs::new(Form::Dpo, Mistake::NaiveSoftplus);
    check_devices(&dpo(&naive), &[Device::flex()]).unwrap_err();
}
