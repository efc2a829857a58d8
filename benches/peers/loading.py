"""`json.loads` and the checks of HH-RLHF on every line, for `benches/loading.rs`.

Reads one job a line from standard input and answers each with its seconds by the clock and of the processor, and with what
it counted.
`{"path": ..}`: read the file, split both transcripts into turns, check them as `accordant_data::hh_rlhf` does, and keep
prompt and answers. Needs nothing but Python.
"""

import gc
import json
import re
import sys
import time
import unicodedata

MARKER = re.compile("\n\n(Human|Assistant):")


def turns(text):
    if not isinstance(text, str):
        raise ValueError("E_TYPE")
    if not text.strip():
        raise ValueError("E_EMPTY")
    parts = MARKER.split(text)
    if parts[0] or len(parts) < 3 or parts[1] != "Human":
        raise ValueError("E_PROMPT_MISMATCH")
    if parts[-2] != "Assistant":
        raise ValueError("E_NO_ASSISTANT")
    if not parts[-1].strip():
        raise ValueError("E_EMPTY")
    return [
        (role, content[1:] if content.startswith(" ") else content)
        for role, content in zip(parts[1::2], parts[2::2])
    ]


def pair(row):
    chosen, rejected = turns(row["chosen"]), turns(row["rejected"])
    shared = 0
    for a, b in zip(chosen, rejected):
        if a != b:
            break
        shared += 1
    left, right = len(chosen) - shared, len(rejected) - shared
    if shared == 0:
        raise ValueError("E_PROMPT_MISMATCH")
    if left == 0 or right == 0:
        raise ValueError("E_IDENTICAL" if left == right else "E_PREFIX")
    if chosen[shared][0] != "Assistant" or rejected[shared][0] != "Assistant":
        raise ValueError("E_DIVERGE_AT_USER")
    if left > 1 or right > 1:
        raise ValueError("E_DIVERGENT_TURNS")
    prompt, yes, no = chosen[:shared], chosen[shared][1], rejected[shared][1]
    if all(not content.strip() for _, content in prompt):
        raise ValueError("E_EMPTY")
    a, b = yes.rstrip(), no.rstrip()
    if a == b or not (a.isascii() and b.isascii()) and unicodedata.normalize("NFC", a) == unicodedata.normalize("NFC", b):
        raise ValueError("E_IDENTICAL")
    warned = any(a[0] == b[0] for a, b in zip(prompt, prompt[1:])) or prompt[-1][0] == "Assistant"
    return prompt, yes, no, warned


def load(path):
    pairs, rejected = [], {}
    with open(path, encoding="utf-8", newline="\n") as lines:
        for line in lines:
            if not line.strip():
                continue
            try:
                pairs.append(pair(json.loads(line)))
            except (ValueError, KeyError) as error:
                code = str(error)
                rejected[code] = rejected.get(code, 0) + 1
    return pairs, rejected


if __name__ == "__main__":
    # A collector that looks at millions of living objects again and again only slows the peer down.
    gc.disable()
    for line in sys.stdin:
        job = json.loads(line)
        start, worked = time.perf_counter(), time.process_time()
        pairs, rejected = load(job["path"])
        seconds, work = time.perf_counter() - start, time.process_time() - worked
        counts = {"pairs": len(pairs), "rejected": sum(rejected.values())}
        del pairs
        # Counts travel as seconds do, in millionths.
        print(json.dumps({"load": [seconds], "work": [work], **{name: [count / 1e6] for name, count in counts.items()}}), flush=True)
