//! The kernel for the gradient by the logits of each row.

use cubecl::prelude::*;

#[cube(launch, address_type = "dynamic")]
#[allow(clippy::too_many_arguments, reason = "what a kernel reads are its arguments")]
pub(super) fn row_grads_kernel<E: Float, F: Float, I: Numeric>(
    logits: &Tensor<E>,
    ids: &Tensor<I>,
    coefs: &Tensor<F>,
    grads: &mut Tensor<E>,
    scale: InputScalar,
    inverse_cap: InputScalar,
    offset: u32,
    base: u32,
    #[comptime] units: u32,
    #[define(E, F, I)] _dtypes: [ElemType; 3],
) {
    let row = (base + CUBE_POS_X) as usize;
    let columns = logits.shape(1);
    let from = row * logits.stride(0);
    let to = row * grads.stride(0);
    let here = row * coefs.stride(1);
    let step = coefs.stride(0);
    let scale = scale.get::<F>();
    let inverse_cap = inverse_cap.get::<F>();
    let one = F::from_int(1);
    let zero = F::from_int(0);
    let max = coefs[here];
    let log_sum = coefs[here + step];
    let a = coefs[here + 2 * step];
    let b = coefs[here + 3 * step];
    let c = coefs[here + 4 * step];
    let picked = coefs[here + 5 * step];
    let id = u32::cast_from(ids[row * ids.stride(0)]);
    let mut column = UNIT_POS_X as usize;
    while column < columns {
        let mut grad = F::from_int(0);
        let idle = a == zero && b == zero && c == zero && picked == zero;
        if !idle {
            let x = F::cast_from(logits[from + column]);
            let log_p = (x * scale - max) - log_sum;
            let p = log_p.exp();
            grad = select(p == zero, zero, p * (a + b * log_p + c * p));
            if offset + column as u32 == id {
                grad += picked;
            }
            if inverse_cap != zero {
                grad *= (one - x * x) * inverse_cap;
            }
        }
        grads[to + column] = E::cast_from(grad * scale);
        column += units as usize;
    }
}
