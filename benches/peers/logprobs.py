"""PyTorch on the work of `examples/logits_memory.rs`: log-probabilities of given ids, forward and backward.

Reads one job a line from standard input, `{"work": .., "n": .., "h": .., "v": .., "repeats": ..}`, and answers each with
the seconds of every repetition. Works:

head          hidden [n, h] and weight [v, h] to log_softmax + gather, and the gradients of both
log_softmax   logits [n, v] to log_softmax + gather, and their gradient
entropy       logits [n, v] to log_softmax + gather and the entropy, forward only
"""

import json
import sys
import time

import torch


def head(n, h, v):
    hidden = (0.1 * torch.randn(n, h)).requires_grad_()
    weight = (0.5 * torch.randn(v, h)).requires_grad_()
    ids, grad = torch.randint(0, v, (n, 1)), torch.randn(n)

    def run():
        hidden.grad = weight.grad = None
        logps = torch.log_softmax(hidden @ weight.T, -1).gather(1, ids).squeeze(1)
        logps.backward(grad)

    return run


def log_softmax(n, h, v):
    logits = torch.randn(n, v).requires_grad_()
    ids, grad = torch.randint(0, v, (n, 1)), torch.randn(n)

    def run():
        logits.grad = None
        torch.log_softmax(logits, -1).gather(1, ids).squeeze(1).backward(grad)

    return run


def entropy(n, h, v):
    logits, ids = torch.randn(n, v), torch.randint(0, v, (n, 1))

    def run():
        logps = torch.log_softmax(logits, -1)
        logps.gather(1, ids), -(logps.exp() * logps).sum(-1)

    return run


WORKS = {"head": head, "log_softmax": log_softmax, "entropy": entropy}

if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
    for line in sys.stdin:
        job = json.loads(line)
        run = WORKS[job["work"]](job["n"], job["h"], job["v"])
        seconds = []
        for _ in range(job["repeats"] + 1):
            start = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - start)
        # The first one also warms up.
        print(json.dumps({"seconds": seconds[1:], "torch": torch.__version__}), flush=True)
