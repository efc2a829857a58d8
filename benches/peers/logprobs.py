"""PyTorch on the work of `examples/logits_memory`: log-probabilities of given ids.

Reads one job a line from standard input,
`{"work": .., "n": .., "h": .., "v": .., "repeats": .., "device": "cpu", "dtype": "float32"}`, and answers each with an
object of forms ("eager", and "compiled" on a GPU), each with the seconds of every repetition and, on a GPU, the peak of
memory in bytes above inputs and gradients. Works:

head          hidden [n, h] and weight [v, h] to log_softmax + gather, and the gradients of both
log_softmax   logits [n, v] to log_softmax + gather, and their gradient
entropy       logits [n, v] to log_softmax + gather and the entropy, forward only

Needs PyTorch (`pip install torch`); the first argument is the number of threads, 2 by default.
"""

import json
import sys
import time

import torch


def head(hidden, weight, ids):
    return torch.log_softmax((hidden @ weight.T).float(), -1).gather(1, ids).squeeze(1)


def log_softmax(logits, ids):
    return torch.log_softmax(logits.float(), -1).gather(1, ids).squeeze(1)


def entropy(logits, ids):
    logps = torch.log_softmax(logits.float(), -1)
    return logps.gather(1, ids).squeeze(1), -(logps.exp() * logps).sum(-1)


def leaves(work, n, h, v, options):
    if work == "head":
        return [0.1 * torch.randn(n, h, **options), 0.5 * torch.randn(v, h, **options)]
    return [torch.randn(n, v, **options)]


def measure(form, job):
    options = {"device": job["device"], "dtype": getattr(torch, job["dtype"])}
    inputs = leaves(job["work"], job["n"], job["h"], job["v"], options)
    ids = torch.randint(0, job["v"], (job["n"], 1), device=job["device"])
    grad = torch.randn(job["n"], device=job["device"])
    backward = job["work"] != "entropy"
    on_gpu = job["device"] == "cuda"
    for leaf in inputs:
        leaf.requires_grad_(backward)
    seconds, peak = [], None
    for _ in range(job["repeats"] + 1):
        for leaf in inputs:
            leaf.grad = None
        if on_gpu:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
        start = time.perf_counter()
        output = form(*inputs, ids)
        if backward:
            output.backward(grad)
        if on_gpu:
            torch.cuda.synchronize()
            made = sum(leaf.grad.nbytes for leaf in inputs) if backward else 0
            peak = torch.cuda.max_memory_allocated() - before - made
        seconds.append(time.perf_counter() - start)
        del output
    # The first one also warms up, and compiles.
    return {"seconds": seconds[1:], "bytes": peak}


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
    for line in sys.stdin:
        job = json.loads(line)
        form = {"head": head, "log_softmax": log_softmax, "entropy": entropy}[job["work"]]
        answer = {"eager": measure(form, job)}
        if job["device"] == "cuda":
            answer["compiled"] = measure(torch.compile(form), job)
        print(json.dumps(answer), flush=True)
