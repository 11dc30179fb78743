"""Random protocols for memories that are tables of cues by content bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from neuromem.patterns import Pattern, random_pattern
from neuromem.spec import Operation, Protocol, recall, store


def learn_then_recall(
    rng: np.random.Generator, n_cues: int, n_content: int, *, n_recalls: int, bits_stored: int, bits_queried: int, gap: int
) -> Protocol:
    """Return a protocol without any overwrite: store every cue once, then ``n_recalls`` recalls.

    Contents are ``bits_stored`` random bits, cues come in random order. Each recall is by a
    random cue or by ``bits_queried`` random content bits, with equal chance.
    """
    operations = [
        store(1 + gap * i, (int(cue),), random_pattern(n_content, bits_stored, rng)) for i, cue in enumerate(rng.permutation(n_cues))
    ]
    for i in range(n_cues, n_cues + n_recalls):
        operations.append(_random_recall(rng, 1 + gap * i, n_cues, n_content, bits_queried))
    return Protocol("learn_then_recall", tuple(operations), n_steps=1 + gap * len(operations) + 10, unsafe_gaps=True)


def learn_overwrite_recall(
    rng: np.random.Generator, n_cues: int, n_content: int, *, n_more: int, bits_stored: int, bits_queried: int, gap: int
) -> Protocol:
    """Return a protocol with overwrites: store every cue once, then ``n_more`` operations.

    Each of these is, with equal chance, a store of new random content under a random cue (an
    overwrite), a recall by a random cue, or a recall by ``bits_queried`` random content bits.
    """
    operations = [
        store(1 + gap * i, (int(cue),), random_pattern(n_content, bits_stored, rng)) for i, cue in enumerate(rng.permutation(n_cues))
    ]
    for i in range(n_cues, n_cues + n_more):
        at = 1 + gap * i
        if rng.random() < 1 / 3:
            operations.append(store(at, (int(rng.integers(n_cues)),), random_pattern(n_content, bits_stored, rng)))
        else:
            operations.append(_random_recall(rng, at, n_cues, n_content, bits_queried))
    return Protocol("learn_overwrite_recall", tuple(operations), n_steps=1 + gap * len(operations) + 10, unsafe_gaps=True)


def without_overwrites(protocol: Protocol) -> Protocol:
    """Return the same operations at the same steps, less every store under a cue that was stored before."""
    kept: list[Operation] = []
    stored: set[Pattern | None] = set()
    for operation in protocol.operations:
        if operation.kind == "store" and operation.cue in stored:
            continue
        if operation.kind == "store":
            stored.add(operation.cue)
        kept.append(operation)
    return replace(protocol, name=f"{protocol.name}, without overwrites", operations=tuple(kept))


def _random_recall(rng: np.random.Generator, at: int, n_cues: int, n_content: int, bits_queried: int) -> Operation:
    if rng.random() < 0.5:
        return recall(at, cue=(int(rng.integers(n_cues)),))
    return recall(at, content=random_pattern(n_content, bits_queried, rng))


def retimed(protocol: Protocol, after_store: int, after_recall: int) -> Protocol:
    """Return the same operations, each following the one before as soon as its kind allows."""
    at, operations = 1, []
    for operation in protocol.operations:
        operations.append(replace(operation, at=at))
        at += after_store if operation.kind == "store" else after_recall
    return Protocol(f"{protocol.name}, retimed", tuple(operations), n_steps=at + 10, unsafe_gaps=True)
