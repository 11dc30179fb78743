"""The networks that the emulated board is tested with."""

from __future__ import annotations

import numpy as np
from integer_model import Cell, Rule
from networks import Connection, Net, Projection

ODD = Cell(tau_m=17.3, cm=0.83, v_rest=-61.7, v_reset=-63.1, v_thresh=-54.9, tau_refrac=2.0, tau_syn_E=3.7, tau_syn_I=6.1, i_offset=0.31)
RULE = Rule(tau_plus=20.0, tau_minus=17.0, A_plus=0.11, A_minus=0.07, w_min=0.0, w_max=3.0)


def random_list(rng: np.random.Generator, n: int, m: int, p: float, weight: tuple[float, float], delays: list[int]) -> list[Connection]:
    return [
        (i, j, round(float(rng.uniform(*weight)), 3), int(rng.choice(delays)))
        for i in range(n)
        for j in range(m)
        if rng.random() < p
    ]  # fmt: skip


def networks() -> dict[str, Net]:
    rng = np.random.default_rng(1)
    pairs = [(i, j) for i in range(4) for j in range(4)]
    teach = Projection("teach", "cells", [(i, i, 9.0, 1) for i in range(4)])

    def learning(delays: list[int]) -> Projection:
        synapses = [(i, j, 1 + 0.1 * i + 0.2 * j, d) for (i, j), d in zip(pairs, delays, strict=True)]
        return Projection("src", "cells", synapses, rule=RULE)

    return {
        "one cell": Net(
            {"src": 3}, {"cells": (1, ODD)},
            [Projection("src", "cells", [(0, 0, 3.3, 1), (1, 0, 2.7, 3)]), Projection("src", "cells", [(2, 0, 1.7, 2)], 1)], 80,
        ),
        "half a millisecond": Net(
            {"src": 3}, {"cells": (2, ODD)},
            [Projection("src", "cells", [(0, 0, 3.3, 1), (1, 1, 2.7, 3)]), Projection("src", "cells", [(2, 1, 1.7, 2)], 1)], 80,
            dt=0.5, options=", n_synapse_cores=0",
        ),
        "learning": Net(
            {"src": 4, "teach": 4}, {"cells": (4, ODD)}, [learning([1, 2, 3, 5, 7, 8, 10, 15, 16, 20, 1, 5, 10, 15, 20, 3]), teach], 200
        ),
        "a delay of the whole ring": Net(
            {"src": 4, "teach": 4}, {"cells": (4, ODD)}, [learning([1, 2, 4, 8] * 4), teach], 60
        ),
        "recurrent": Net(
            {"src": 10}, {"exc": (40, ODD), "inh": (10, ODD)},
            [
                Projection("src", "exc", random_list(rng, 10, 40, 0.4, (1, 3), [1, 2, 3])),
                Projection("exc", "exc", random_list(rng, 40, 40, 0.1, (0.3, 1), list(range(1, 9)))),
                Projection("exc", "inh", random_list(rng, 40, 10, 0.2, (0.3, 1), [1, 2])),
                Projection("inh", "exc", random_list(rng, 10, 40, 0.3, (0.3, 1), [1, 2, 3]), 1),
            ], 60,
        ),
        "delay extension": Net(
            {"src": 20}, {"cells": (200, ODD)},
            [
                Projection("src", "cells", random_list(rng, 20, 200, 0.3, (1, 3), [1, 2, 3])),
                Projection("cells", "cells", random_list(rng, 200, 200, 0.01, (0.3, 1), list(range(1, 60)))),
            ], 60,
        ),
        "three cores": Net(
            {"src": 10}, {"cells": (40, ODD)},
            [
                Projection("src", "cells", random_list(rng, 10, 40, 0.4, (1, 3), [1, 2, 3])),
                Projection("cells", "cells", random_list(rng, 40, 40, 0.1, (0.3, 1), [1, 2, 3, 5, 6, 7]), rule=RULE),
            ], 60, per_core={"cells": 16, "src": 4},
        ),
        "two chips": Net(
            {"src": 10}, {"cells": (36, ODD)},
            [
                Projection("src", "cells", random_list(rng, 10, 36, 0.4, (1, 3), [1, 2, 3])),
                Projection("cells", "cells", random_list(rng, 36, 36, 0.1, (0.3, 1), [1, 2, 3])),
            ], 20, per_core={"cells": 2},
        ),
        "a crowd": Net(
            {"src": 120, "teach": 4}, {"cells": (4, ODD)},
            [
                Projection("src", "cells", random_list(rng, 120, 4, 1.0, (0.9, 1), [1, 2]), rule=RULE),
                teach,
                Projection("src", "cells", [(i, j, 1.0, 1) for i in range(60) for j in range(4)]),
            ], 30, options=", max_expected_summed_weight=[10.0, 12.0]",
        ),
        "a burst": Net(
            {"src": 300}, {"cells": (2, ODD)}, [Projection("src", "cells", [(i, i % 2, 0.01, 1) for i in range(300)])], 10
        ),
        "some recorded": Net(
            {"src": 3}, {"cells": (40, ODD)}, [Projection("src", "cells", [(i, j, 2.5, 1) for i in range(3) for j in range(40)])], 20,
            per_core={"cells": 16}, record_some=[3, 20, 17, 39],
        ),
        "too large": Net(
            {"src": 4}, {"cells": (256, ODD)},
            [
                Projection("src", "cells", [(0, 0, 1.0, 1), (1, 1, 1.0, 32)]),
                Projection("cells", "cells", [(i, i, 0.5, 1 + i % 32) for i in range(256)], rule=RULE),
            ], 10,
        ),
    }  # fmt: skip


NETWORKS = networks()
