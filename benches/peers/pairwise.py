"""TRL on the work of `benches/pairwise.rs`: a loss of pairs whose log-probabilities are given, with its metrics.

Reads one job a line from standard input, `{"pairs": .., "repeats": ..}`, and answers each with the seconds of every
repetition, forward and backward, by loss: `{"sigmoid": [..], ..}`. The losses are `DPOTrainer`'s own, called on a model
that returns what it was given; f-divergences are those of the loss "sigmoid". A response is one token long, which leaves
TRL the least to do.

Needs TRL 1.16 (`pip install trl==1.16.0`); the first argument is the number of threads, 2 by default.
"""

import collections
import json
import sys
import time
import types

import torch
from trl import DPOTrainer

LOSSES = [
    "sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard", "aot", "aot_unpaired",
    "apo_zero", "apo_down", "discopop", "sft", "sigmoid_norm",
]  # fmt: skip
DIVERGENCES = ["forward_kl", "js_divergence", "alpha_divergence"]


class Given(torch.nn.Module):
    """A model whose log-probabilities are its only parameter."""

    def __init__(self, pairs):
        super().__init__()
        self.log_probs = torch.nn.Parameter(-50 * torch.rand(2 * pairs, 1))
        self.rest = torch.zeros(2 * pairs, 1)

    def forward(self, **_):
        return types.SimpleNamespace(
            log_probs=self.log_probs,
            entropy=self.rest,
            mean_logits=self.rest,
            log_sum_sq_probs=self.rest,
            is_top1=self.rest.bool(),
        )


def trainer(model, loss, divergence):
    """`DPOTrainer` with what `_compute_loss` reads, and nothing that would ask for a model or data."""
    made = DPOTrainer.__new__(DPOTrainer)
    made.model = model
    made.accelerator = types.SimpleNamespace(
        device=torch.device("cpu"), gather=lambda x: x, gather_for_metrics=lambda x: x
    )
    made.args = types.SimpleNamespace(discopop_tau=0.05)
    made.loss_types, made.loss_weights = [loss], [1.0]
    made.beta, made.label_smoothing = 0.1, 0.1 if loss in ("exo_pair", "robust") else 0.0
    made.f_divergence_type, made.f_alpha_divergence_coef = divergence, 0.5
    made.ld_alpha, made.use_weighting, made.aux_loss_enabled, made.precompute_ref_logps = None, False, False, True
    made._metrics = {"train": collections.defaultdict(list)}
    made._total_train_tokens, made._tp_size = 0, 1
    return made


def measure(pairs, repeats, loss, divergence="reverse_kl"):
    model = Given(pairs)
    made = trainer(model, loss, divergence)
    mask = torch.tensor([[0, 1]]).repeat(2 * pairs, 1)
    inputs = {
        "input_ids": torch.zeros_like(mask),
        "attention_mask": torch.ones_like(mask),
        "completion_mask": mask,
        "ref_chosen_logps": -50 * torch.rand(pairs),
        "ref_rejected_logps": -50 * torch.rand(pairs),
    }
    seconds = []
    for _ in range(repeats + 3):
        model.log_probs.grad = None
        made._metrics["train"].clear()
        start = time.perf_counter()
        made._compute_loss(model, inputs, False).backward()
        seconds.append(time.perf_counter() - start)
    # The first ones warm up.
    return seconds[3:]


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
    for line in sys.stdin:
        job = json.loads(line)
        answer = {loss: measure(job["pairs"], job["repeats"], loss) for loss in LOSSES}
        for divergence in DIVERGENCES:
            answer[divergence] = measure(job["pairs"], job["repeats"], "sigmoid", divergence)
        print(json.dumps(answer), flush=True)
