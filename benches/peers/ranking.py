"""evalica and choix on the work of `benches/ranking.rs`: Bradley-Terry scores from a raw list of matches.

Reads one job a line from standard input and answers each with the seconds of every repetition, by method.
`{"job": "fit", "players": .., "path": ..}`: one fit of all matches. `{"job": "refits", ..}`: the seconds of one of many
fits of the same matches. The file has a match a line: the indices of the two, and x, y or d for who won.

Lists are Python's own and are ready before the clock starts. Iterations stop at each package's default tolerance.

Needs evalica 0.4.2 and choix 0.4.1 (`pip install evalica==0.4.2 choix==0.4.1`).
"""

import functools
import json
import sys
import time

import choix
import evalica

WINNERS = {"x": evalica.Winner.X, "y": evalica.Winner.Y, "d": evalica.Winner.Draw}
REFITS = 100


@functools.cache
def lists(path):
    """Indices, names, and winners, as evalica takes them, and pairs, as choix does."""
    with open(path) as lines:
        rows = [line.rstrip("\n").split(",") for line in lines]
    xs, ys = [int(row[0]) for row in rows], [int(row[1]) for row in rows]
    names = {item: f"m{item}" for item in {*xs, *ys}}
    winners = [WINNERS[row[2]] for row in rows]
    pairs = [(x, y) if row[2] == "x" else (y, x) for x, y, row in zip(xs, ys, rows)]
    return (xs, ys, winners), ([names[x] for x in xs], [names[y] for y in ys], winners), pairs


def seconds(run, repeats=1):
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    return [(time.perf_counter() - start) / repeats]


def answer(job, players, path):
    indices, names, pairs = lists(path)
    if job == "refits":
        return {
            "refit: evalica, indices": seconds(lambda: evalica.bradley_terry(*indices), REFITS),
            "refit: evalica, names": seconds(lambda: evalica.bradley_terry(*names), REFITS),
        }
    return {
        "evalica": seconds(lambda: evalica.bradley_terry(*indices)),
        "evalica, names": seconds(lambda: evalica.bradley_terry(*names)),
        "choix I-LSR": seconds(lambda: choix.ilsr_pairwise(players, pairs)),
        "choix LSR, one step": seconds(lambda: choix.lsr_pairwise(players, pairs)),
    }


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(answer(**json.loads(line))), flush=True)
