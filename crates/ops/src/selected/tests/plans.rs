//! Plans at the edge. That a tile keeps to its budget is checked beside it.

use super::*;

#[test]
fn logits_are_kept_exactly_when_the_budget_holds_all_of_them() {
    let device = Device::flex();
    for (dtype, size) in [(DType::F64, 8), (DType::F32, 4), (DType::BF16, 4), (DType::F16, 4)] {
        let plan = |bytes| Plan::new(7, 3, 11, dtype, Memory::Budget(bytes), &device);
        assert!(plan(7 * 11 * size).keeps_logits);
        assert!(!plan(7 * 11 * size - 1).keeps_logits);
    }
    let tiles = Memory::Tiles { rows: 7, columns: 11 };
    assert!(!Plan::new(7, 3, 11, DType::F32, tiles, &device).keeps_logits);
}

#[test]
fn a_budget_of_nothing_and_one_of_everything_are_plans() {
    let budgets = [Memory::Budget(0), Memory::Budget(1), Memory::Budget(usize::MAX), Memory::Auto];
    let tiles = [(0, 0), (usize::MAX, usize::MAX)].map(|(rows, columns)| Memory::Tiles { rows, columns });
    for memory in budgets.into_iter().chain(tiles) {
        for n in [0, 1, 5000, usize::MAX] {
            for h in [0, 1, 4096, usize::MAX] {
                for v in [0, 1, 262_144, usize::MAX] {
                    for dtype in [DType::F64, DType::F32, DType::BF16] {
                        let plan = Plan::new(n, h, v, dtype, memory, &Device::flex());
                        assert!(plan.is_streamed && plan.rows >= 1 && plan.columns >= 1, "{plan:?}");
                        assert!(plan.rows <= n.max(1) && plan.columns <= v.max(1), "{plan:?}");
                    }
                }
            }
        }
    }
    let plan = Plan::new(5, 3, 7, DType::F32, Memory::Budget(0), &Device::flex());
    assert_eq!((plan.rows, plan.columns, plan.keeps_logits), (1, 1, false));
    let plan = Plan::new(5, 3, 7, DType::F32, Memory::Budget(usize::MAX), &Device::flex());
    assert_eq!((plan.rows, plan.columns, plan.keeps_logits), (5, 7, true));
}

#[test]
fn degenerate_memory_gives_the_same_numbers() {
    let case = Case::new(3, 2, 5);
    let expected = case.naive();
    for memory in [
        Memory::Tiles { rows: 0, columns: 0 },
        Memory::Tiles { rows: usize::MAX, columns: usize::MAX },
        Memory::Budget(0),
        Memory::Budget(usize::MAX),
    ] {
        case.clone().with_memory(memory).streamed().assert_near(&expected, 1e-13, &format!("{memory:?}"));
    }
}

#[test]
fn less_memory_is_planned_where_less_is_given() {
    let plan = |memory| Plan::new(4096, 512, 100_000, DType::F32, memory, &Device::flex());
    let (small, auto, all) = (plan(Memory::Budget(1 << 20)), plan(Memory::Auto), plan(Memory::Budget(usize::MAX)));
    assert!(small.backward_bytes < auto.backward_bytes && auto.backward_bytes < all.backward_bytes);
    assert!(small.forward_bytes < auto.forward_bytes && auto.forward_bytes < all.forward_bytes);
    assert!(all.backward_bytes < all.naive_bytes);
    // All of the logits, once.
    assert!(all.forward_bytes >= 4 * 4096 * 100_000);
}
