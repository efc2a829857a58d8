"""TRL on the work of `benches/rollout.rs`: a loss on rollouts whose log-probabilities are given, with its metrics.

Reads one job a line from standard input, `{"rows": .., "tokens": .., "repeats": ..}`, and answers each with the seconds
of every repetition, forward and backward, by loss: `{"grpo": [..], ..}`. The losses are `GRPOTrainer`'s own, called with
a trainer whose forward pass returns what it was given.

Needs TRL 1.16 (`pip install trl==1.16.0`); the first argument is the number of threads, 2 by default.
"""

import collections
import json
import sys
import time
import types

import torch
from trl import GRPOTrainer

LOSSES = ["grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo", "gspo", "grpo_kl"]


def trainer(loss, logps, entropies):
    """`GRPOTrainer` with what `_compute_loss` reads, and nothing that would ask for a model or data."""
    made = GRPOTrainer.__new__(GRPOTrainer)
    made.model = types.SimpleNamespace(training=True)
    made.accelerator = types.SimpleNamespace(
        device=torch.device("cpu"),
        num_processes=1,
        sync_gradients=True,
        gather=lambda x: x,
        gather_for_metrics=lambda x: x,
        reduce=lambda x, reduction: x,
    )
    made.args = types.SimpleNamespace(
        use_bias_correction_kl=False, delta=None, sapo_temperature_pos=1.0, sapo_temperature_neg=1.05,
        vespo_k_pos=2.0, vespo_k_neg=3.0, vespo_lambda_pos=3.0, vespo_lambda_neg=2.0, steps_per_generation=1,
    )  # fmt: skip
    made.loss_type = {"gspo": "grpo", "grpo_kl": "grpo"}.get(loss, loss)
    made.importance_sampling_level = "sequence" if loss == "gspo" else "token"
    made.beta = 0.04 if loss == "grpo_kl" else 0.0
    made.epsilon_low, made.epsilon_high = 0.2, 5.0 if loss == "cispo" else 0.2
    made.top_entropy_quantile, made.off_policy_mask_threshold = 1.0, None
    made.use_vllm, made.vllm_importance_sampling_correction = False, False
    made._entropy_bonus_enabled, made.use_adaptive_entropy, made.aux_loss_enabled = False, False, False
    made.current_gradient_accumulation_steps, made.max_completion_length = 1, logps.shape[1]
    made._metrics = {"train": collections.defaultdict(list), "eval": collections.defaultdict(list)}
    made._get_per_token_logps_and_entropies = lambda *_, **__: (logps, entropies, None)
    return made


def measure(rows, tokens, repeats, loss):
    logps = (-3 * torch.rand(rows, tokens)).requires_grad_()
    made = trainer(loss, logps, torch.rand(rows, tokens))
    lengths = torch.randint(tokens // 4, tokens + 1, (rows, 1))
    mask = (torch.arange(tokens)[None, :] < lengths).int()
    noise = lambda: logps.detach() + 0.2 * (torch.rand(rows, tokens) - 0.5)
    inputs = {
        "prompt_ids": torch.zeros(rows, 1, dtype=torch.long),
        "prompt_mask": torch.ones(rows, 1, dtype=torch.int),
        "completion_ids": torch.zeros(rows, tokens, dtype=torch.long),
        "completion_mask": mask,
        "advantages": torch.randn(rows),
        "old_per_token_logps": noise(),
        "ref_per_token_logps": noise(),
        "num_items_in_batch": mask.sum(),
    }
    seconds = []
    for _ in range(repeats + 3):
        logps.grad = None
        made._metrics["train"].clear()
        start = time.perf_counter()
        made._compute_loss(None, inputs).backward()
        seconds.append(time.perf_counter() - start)
    # The first ones warm up.
    return seconds[3:]


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
    for line in sys.stdin:
        job = json.loads(line)
        answer = {loss: measure(job["rows"], job["tokens"], job["repeats"], loss) for loss in LOSSES}
        print(json.dumps(answer), flush=True)
