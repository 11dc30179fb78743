"""Random generators by name, so that adding an object changes no other draw."""

from __future__ import annotations

import hashlib

import numpy as np


def generator(seed: int, owner: str, purpose: str, block: int = 0) -> np.random.Generator:
    """Return the generator of ``(seed, owner, purpose, block)``: Philox, keyed by their SHA-256."""
    digest = hashlib.sha256(f"{seed}|{owner}|{purpose}|{block}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(digest[:16], dtype=np.uint64)))
