"""The whole text of every error that a wrong definition raises; ``error_cases.py`` says how each is made.

Those of memories without spikes are in ``error_cases_matrix.py``, text and all.
"""

from __future__ import annotations

import ast
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from error_cases import CASES as SPIKING
from error_cases_matrix import CASES as MATRIX
from test_models_ca3_family import BAD as CA3_FAMILY
from test_models_ca3_recurrent import BAD as CA3_RECURRENT
from test_realise_refusals import REFUSED as REALISE

import neuromem
import neuromem.models
from neuromem.errors import SpecError
from neuromem.models import ca3_forgetting, willshaw
from neuromem.spec import realise

CASES = SPIKING | {name: make for name, (make, _) in MATRIX.items()}
TEXTS: dict[str, str] = {
    "out of range": ("Cell: tau_m = -1 ms; expected above 0 and at most 1e+06 ms."),
    "entry out of range": ("Cell: cm = 0 nF (entry 1 of 2); expected above 0 and at most 1000 nF."),
    "not a number": ("Cell: v_rest = nan mV; expected at least -1000 and at most 1000 mV."),
    "infinite time": ("Stimulus: time = inf ms; expected a finite time."),
    "delay no whole number": ("Projection 'a>b': delay = 0.25 ms is not a whole number of 0.1 ms steps; nearest are 0.2 and 0.3 ms."),
    "delay a fraction of the first step": ("Projection 'a>b': delay = 0.04 ms is not a whole number of 0.1 ms steps; nearest is 0.1 ms."),
    "delay zero": (
        "Projection 'a>b': delay = 0 ms is 0 steps of 0.1 ms; expected at least 1 (0.1 ms), because a spike cannot arrive in the step that sends it."
    ),
    "time negative": ("Stimulus: time = -0.1 ms is -1 steps of 0.1 ms; expected at least 0."),
    "number of a word": ("Cell: tau_m = 'slow'; expected a number, above 0 and at most 1e+06 ms."),
    "number out of range": ("Cell: tau_m = -1 ms; expected above 0 and at most 1e+06 ms."),
    "pattern mask": ("cue: a boolean pattern of shape (3,); expected shape (4,)."),
    "pattern bool": ("cue: True; expected unit numbers from 0 to 3."),
    "pattern text": ("cue: 'ab'; expected unit numbers from 0 to 3, each an integer."),
    "pattern float": ("cue: [0.5]; expected unit numbers from 0 to 3, each an integer."),
    "pattern range": ("cue: unit 4; expected unit numbers from 0 to 3."),
    "pattern negative": ("cue: unit -1; expected unit numbers from 0 to 3."),
    "pattern twice": ("cue: unit 1 is given twice; expected distinct unit numbers."),
    "pattern array twice": ("cue: unit 1 is given twice; expected distinct unit numbers."),
    "pattern vector of integers": (
        "cue: unit 0 is given twice; expected distinct unit numbers (a vector of 0 and 1 must be boolean: .astype(bool))."
    ),
    "pattern bools": ("cue: [True, False]; expected unit numbers from 0 to 1, or a boolean vector: np.array([...], dtype=bool)."),
    "digits": ("binary_digits: 8 does not fit 3 bits; expected 0 to 7."),
    "too many active": ("random_pattern: 4 active units of 3; expected 0 to 3."),
    "integrator": ("IFCurrExp: integrator = 'exakt'; expected 'exact' or 'spinnaker' (did you mean 'exact'?)."),
    "tau_m negative": ("IFCurrExp: tau_m = -20 ms; expected above 0 and at most 1e+06 ms."),
    "tau_syn zero": ("IFCurrExp: tau_syn_E = 0 ms; expected above 0 and at most 1e+06 ms."),
    "reset above threshold": (
        "IFCurrExp: v_reset = -40 mV, v_thresh = -50 mV; expected v_reset below v_thresh, or the cell would never stop firing."
    ),
    "parameter of a word": ("IFCurrExp: cm = 'large'; expected a number, a sequence of numbers or a RandomDistribution."),
    "parameter of words": ("IFCurrExp: cm = ['large']; expected a number, a sequence of numbers or a RandomDistribution."),
    "parameter matrix": ("IFCurrExp: cm has shape (1, 1); expected one number or a vector."),
    "rate negative": ("SpikeSourcePoisson: rate = -5 Hz; expected at least 0 and at most 1e+06 Hz."),
    "argument unknown": (
        "IFCurrExp: no parameter 'taum'; it has tau_m, cm, v_rest, v_reset, v_thresh, tau_refrac, tau_syn_E, tau_syn_I, i_offset, integrator (did you mean 'tau_m'?)."
    ),
    "argument of PyNN": (
        "Projection: no parameter 'receptor_type'; it has pre, post, connector, synapse, receptor, plasticity, name (did you mean 'receptor'?)."
    ),
    "argument of none": ("SpikeSourceArray: no parameter 'spike_times'; it has none."),
    "argument missing": ("Population: size is missing; expected Population(name=..., size=..., cell=...)."),
    "arguments too many": ("SpikeSourcePoisson: 4 values; expected at most 3: rate, start, duration."),
    "argument twice": ("SpikeSourcePoisson: rate is given twice; expected it once, by its place or by its name."),
    "argument of a rule": (
        "SpikePairRule: no parameter 'tau_pls'; it has tau_plus, tau_minus, A_plus, A_minus (did you mean 'tau_plus'?)."
    ),
    "argument of a dependence": ("AdditiveWeightDependence: no parameter 'wmax'; it has w_min, w_max (did you mean 'w_max'?)."),
    "argument of a synapse": ("StaticSynapse: no parameter 'wieght'; it has weight, delay (did you mean 'weight'?)."),
    "argument of STDP": ("STDP: weight_dependence is missing; expected STDP(timing=..., weight_dependence=...)."),
    "argument of a distribution": ("RandomDistribution: no parameter 'low'; it has distribution, a, b."),
    "argument of a connector": ("FixedProbabilityConnector: p_connect is missing; expected FixedProbabilityConnector(p_connect=...)."),
    "distribution": ("RandomDistribution: 'gamma'; expected 'uniform', 'normal' or 'uniform_int'."),
    "normal": ("RandomDistribution('normal'): a = 0, b = -1; expected b >= 0."),
    "uniform": ("RandomDistribution('uniform'): a = 2, b = 1; expected a <= b."),
    "uniform of a word": ("RandomDistribution('uniform'): a = 'a'; expected a finite number."),
    "uniform of nan": ("RandomDistribution('uniform'): b = nan; expected a finite number."),
    "normal of inf": ("RandomDistribution('normal'): a = -inf; expected a finite number."),
    "population name": ("Population '2nd': expected a name made of letters, digits and '_', not beginning with a digit."),
    "population size": ("Population 'ca3': size = 0; expected a whole number of cells, at least 1."),
    "population cell": ("Population 'ca3': cell = <class 'neuromem.spec.cells.IFCurrExp'>; expected a cell type such as IFCurrExp(...)."),
    "population lengths": ("Population 'ca3': cm has 2 values; expected one number or 3, one for each cell."),
    "initial unknown": (
        "Population 'ca3': initial value of 'isyn_ex'; IFCurrExp has the state isyn_exc, isyn_inh, v (did you mean 'isyn_exc'?)."
    ),
    "initial of a source": ("Population 'input': initial value of 'v'; SpikeSourceArray has the state none."),
    "initial lengths": ("Population 'ca3': v has 2 values; expected one number or 3, one for each cell."),
    "initial range": ("Population 'ca3': isyn_exc = -1 nA; expected at least 0 and at most 1e+09 nA."),
    "population stride": ("Population 'ca3': [slice(0, 3, 2)]; expected a contiguous slice such as [0:5]."),
    "population item": ("Population 'ca3': [1]; expected a contiguous slice such as [0:5]."),
    "view empty": ("View of 'ca3': units 2:2; expected 0 <= start < stop."),
    "probability": ("FixedProbabilityConnector: p_connect = 1.5; expected a probability from 0 to 1."),
    "probability of a word": ("FixedProbabilityConnector: p_connect = 'x'; expected a probability from 0 to 1."),
    "count": ("FixedTotalNumberConnector: n = -1; expected a whole number of synapses, at least 0."),
    "array type": ("ArrayConnector: an array of shape (2, 2) and type float64; expected a boolean matrix (n_pre, n_post)."),
    "list ragged": ("FromListConnector: rows of different lengths or not numbers; expected (pre, post) or (pre, post, weight, delay)."),
    "list columns": ("FromListConnector: a table of shape (1, 3); expected rows (pre, post) or (pre, post, weight, delay)."),
    "one to one sizes": (
        "Projection 'input>long': OneToOneConnector from 3 units to 4; expected equal sizes (take a view such as population[0:3])."
    ),
    "pre to choose": ("Projection 'ca3>ca3': n = 3 distinct pre units, but there are 2 to choose from; expected at most that."),
    "post to choose": ("Projection 'input>ca3': n = 5 distinct post units, but there are 3 to choose from; expected at most that."),
    "only itself": ("Projection 'one>one': the only pair is a unit with itself; expected allow_self_connections=True or more units."),
    "array shape": ("Projection 'input>ca3': ArrayConnector of shape (3, 4); expected (3, 3)."),
    "list unit": ("Projection 'input>ca3': row 1 of the list has post = 3; expected a unit number from 0 to 2."),
    "list fraction": ("Projection 'input>ca3': row 0 of the list has pre = 0.5; expected a unit number from 0 to 2."),
    "weight negative": ("StaticSynapse: weight = -1 nA; expected at least 0 and at most 1e+09 nA."),
    "weight of a word": ("StaticSynapse: weight = 'strong'; expected a number, a sequence of numbers or a RandomDistribution."),
    "pre of a cell": (
        "Projection 'a': pre = IFCurrExp(tau_m=20.0, cm=1.0, v_rest=-65.0, v_reset=-65.0, v_thresh=-50.0, tau_refrac=0.1, tau_syn_E=5.0, tau_syn_I=5.0, i_offset=0.0, integrator='exact'); expected a population's name or a view."
    ),
    "receptor": ("Projection 'input>ca3': receptor = 'gaba'; expected 'excitatory' or 'inhibitory'."),
    "connector": ("Projection 'input>ca3': connector = <class 'neuromem.spec.connectors.AllToAllConnector'>; expected a Connector."),
    "synapse": ("Projection 'input>ca3': synapse = 6.0; expected a StaticSynapse."),
    "plasticity": (
        "Projection 'input>ca3': plasticity = SpikePairRule(tau_plus=20.0, tau_minus=20.0, A_plus=0.01, A_minus=0.01); expected a rule such as STDP(...) or Hebbian(), or None."
    ),
    "stimulus units": ("Stimulus of 'input': units of type float64; expected unit numbers, integers."),
    "stimulus shapes": ("Stimulus of 'input': units of shape (1,), times of shape (2,); expected two vectors of one length."),
    "probe variable": ("Probe of 'ca3': variable = 'w'; expected one of spikes, v, isyn_exc, isyn_inh."),
    "no population": ("Network: no population 'ca1'; it has ca3, input, long (did you mean 'ca3'?)."),
    "tau_plus": ("SpikePairRule: tau_plus = 0 ms; expected above 0 and at most 1e+06 ms."),
    "tau_plus of a word": ("SpikePairRule: tau_plus = 'x'; expected a number, above 0 and at most 1e+06 ms."),
    "A_plus of a list": (
        "SpikePairRule: A_plus = [1.0]; expected a number, at least 0 and at most 1e+09 nA, or a fraction with the multiplicative rule."
    ),
    "w_max of None": ("AdditiveWeightDependence: w_max = None; expected a number, at least 0 and at most 1e+09 nA."),
    "A_minus": ("SpikePairRule: A_minus = -0.1 nA; expected at least 0 and at most 1e+09 nA, or a fraction with the multiplicative rule."),
    "w_min above w_max": ("MultiplicativeWeightDependence: w_min = 2 nA, w_max = 1 nA; expected w_min <= w_max."),
    "timing": ("STDP: timing = 0.01; expected SpikePairRule(...)."),
    "weight dependence": ("STDP: weight_dependence = 1.0; expected AdditiveWeightDependence(...) or MultiplicativeWeightDependence(...)."),
    "discipline": ("STDP: discipline = 'defered'; expected 'immediate' or 'deferred' (did you mean 'deferred'?)."),
    "history immediate": ("STDP: post_history = 15 with the immediate discipline; a history limit needs discipline='deferred'."),
    "history": ("STDP: post_history = 0; expected None (all) or a whole number from 1 to 64."),
    "role name": ("Role 'address'; expected 'cue' or 'content'."),
    "role sizes": ("Role 'cue': input of 1 units, readout of 2; expected equal sizes."),
    "no role": ("ca3-cam: no role 'address'; it has content, cue."),
    "no form": (
        "recall at step 0: ca3-cam has no recall with cue and content; it has: store with cue and content; recall with cue; recall with content; forget with cue."
    ),
    "no form of nothing": (
        "recall at step 0: ca3-cam has no recall with nothing; it has: store with cue and content; recall with cue; recall with content; forget with cue."
    ),
    "kind": ("Operation: kind = 'learn'; expected 'store', 'recall' or 'forget'."),
    "at": ("Operation 'store': at = -1; expected a step, a whole number not below 0."),
    "operations": ("Protocol 'mine': operations = 5; expected a tuple of operations, such as (recall(0, cue=(1,)),)."),
    "operation": ("Protocol 'mine': operation 1 is 'recall'; expected an Operation, such as recall(0, cue=(1,))."),
    "n_steps of a word": ("Protocol 'mine': n_steps = '10'; expected a whole number of steps, at least 0."),
    "n_steps negative": ("Protocol 'mine': n_steps = -1; expected a whole number of steps, at least 0."),
    "order": ("Protocol 'mine': recall at step 20 follows recall at step 20; expected operations in the order of time, one at a step."),
    "too short": ("Protocol 'mine': n_steps = 20, but the last operation is recall at step 20; expected n_steps above it."),
    "too short for an answer": (
        "Protocol 'mine': n_steps = 26, but recall at step 20 is answered at step 26; expected n_steps at least 27."
    ),
    "ideal": ("TypeError: len() takes exactly one argument (0 given) (in the ideal memory of ca3-cam, as it is made)."),
    "stress": (
        "stress: n_cues = 40, n_content = 3; the content of a cue is its number in binary: expected n_cues at most 7, or n_content at least 6."
    ),
    "overlap": (
        "Protocol 'mine': recall at step 2 begins 2 steps after store at step 0, whose input lasts 3 steps: they overlap; expected at least 7 steps, the safe gap of ca3-cam from store to recall_by_cue."
    ),
    "gap": (
        "Protocol 'mine': store at step 9 begins 9 steps after store at step 0; expected at least 10, the safe gap of ca3-cam from store to overwrite (unsafe gaps can be studied with --unsafe-gaps, or unsafe_gaps = true in the protocol)."
    ),
    "operation unit": ("ca3-cam, store at step 0, cue: unit 5; expected unit numbers from 0 to 4."),
    "forget unit": ("ca3-cam, forget at step 3, cue: unit 7; expected unit numbers from 0 to 4."),
    "dt": ("Network: dt = 0 ms; expected above 0 and at most 1000 ms."),
    "dt of a word": ("Network: dt = 'x'; expected a number, above 0 and at most 1000 ms."),
    "no populations": ("Network: no populations; expected at least one."),
    "same names": ("Network: 2 populations are called 'ca3'; expected distinct names (give name=...)."),
    "same projections": ("Network: 2 projections are called 'input>ca3'; expected distinct names (give name=...)."),
    "stimulus of cells": ("Stimulus of 'ca3': its cells are IFCurrExp; expected SpikeSourceArray."),
    "stimulus unit": ("Stimulus of 'input': unit 3; expected unit numbers from 0 to 2."),
    "stimulus time": ("Stimulus of 'input': time = 0.25 ms is not a whole number of 0.1 ms steps; nearest are 0.2 and 0.3 ms."),
    "probe of a source": ("Probe of 'input': variable = 'v'; SpikeSourceArray has spikes."),
    "probe of nothing": ("Probe of 'ca33': no population 'ca33'; the network has ca3, input, long (did you mean 'ca3'?)."),
    "projection to nothing": ("Projection 'input>ca1': no population 'ca1'; the network has ca3, input, long (did you mean 'ca3'?)."),
    "view too long": ("Projection 'input[1:4]>ca3': units 1:4 of 'input'; expected at most 3, its size."),
    "post a source": (
        "Projection 'ca3>input': post 'input' is a SpikeSourceArray; expected cells that receive synapses, such as IFCurrExp."
    ),
    "delay of a projection": ("Projection 'input>ca3': delay = 0.25 ms is not a whole number of 0.1 ms steps; nearest are 0.2 and 0.3 ms."),
    "delay of a projection zero": (
        "Projection 'input>ca3': delay = 0 ms is 0 steps of 0.1 ms; expected at least 1 (0.1 ms), because a spike cannot arrive in the step that sends it."
    ),
    "weight above w_max": ("Projection 'input>ca3': initial weight = 2 nA; expected between w_min = 0 and w_max = 1 nA."),
    "probe twice": ("Probe of 'ca3': 2 probes of its spikes; expected one probe of a variable."),
    "population too large": ("Population 'big': size = 2147483649; expected at most 2147483648 cells."),
    "delay too long": ("Projection 'input>ca3': delay = 200000 ms is 2000000 steps of 0.1 ms; expected at most 1000000 steps."),
    "all to all too large": (
        "Projection 'big>bigger': AllToAllConnector from 100000 units to 100000 makes 10000000000 synapses, 298 GiB; expected at most 2147483648 (64 GiB): connect fewer units, or fewer of their pairs."
    ),
    "probability too large": (
        "Projection 'big>bigger': FixedProbabilityConnector from 100000 units to 100000 makes 5000000000 synapses, 149 GiB; expected at most 2147483648 (64 GiB): connect fewer units, or fewer of their pairs."
    ),
    "number pre too large": (
        "Projection 'big>bigger': FixedNumberPreConnector from 100000 units to 100000 makes 5000000000 synapses, 149 GiB; expected at most 2147483648 (64 GiB): connect fewer units, or fewer of their pairs."
    ),
    "number post too large": (
        "Projection 'big>bigger': FixedNumberPostConnector from 100000 units to 100000 makes 5000000000 synapses, 149 GiB; expected at most 2147483648 (64 GiB): connect fewer units, or fewer of their pairs."
    ),
    "total number too large": (
        "Projection 'big>bigger': FixedTotalNumberConnector from 100000 units to 100000 makes 1000000000000 synapses, 2.98e+04 GiB; expected at most 2147483648 (64 GiB): connect fewer units, or fewer of their pairs."
    ),
    "view too large": (
        "Projection 'big>bigger[0:70000]': AllToAllConnector from 100000 units to 70000 makes 7000000000 synapses, 209 GiB; expected at most 2147483648 (64 GiB): connect fewer units, or fewer of their pairs."
    ),
    "role of nothing": (
        "ca3-cam: input of role 'cue': no population 'inn'; the network has in, merge_cont, merge_cue, out, s1_cont, s1_cue, s2_cond, s2_cont, s2_cue, s2_int (did you mean 'in'?)."
    ),
    "role too long": ("ca3-cam: readout of role 'cue': units 12:17 of 'out'; expected at most 15, its size."),
    "role into cells": ("ca3-cam: input of role 'cue' is 's1_cue', whose cells are IFCurrExp; expected SpikeSourceArray."),
    "role not recorded": ("ca3-cam: role 'cue' is read from 'out', whose spikes are not recorded; add Probe('out')."),
    "form role": ("ca3-cam: form 'recall_by_cue' names the role 'content'; the memory has cue."),
    "form hold": ("ca3-cam: form 'recall_by_cue' has hold = 0; expected at least 1."),
    "gap name": (
        "ca3-cam: gap ('store', 'recall_by_cu') names the form 'recall_by_cu'; expected one of forget, overwrite, recall_by_content, recall_by_cue, store (did you mean 'recall_by_cue'?)."
    ),
    "gap zero": ("ca3-cam: gap ('store', 'recall_by_cue') = 0; expected a number of steps, at least 1."),
    "drawn out of range": (
        "ca3 (drawn from RandomDistribution(distribution='uniform', a=-2.0, b=-1.0)): cm = -1.43391 nF (entry 0 of 3); expected above 0 and at most 1000 nF."
    ),
    "drawn delay negative": (
        "Projection 'input>ca3' (drawn from RandomDistribution(distribution='uniform', a=-2.0, b=-1.0)): delay = -1.24892 ms (entry 0 of 9); expected above 0 and at most 1e+06 ms."
    ),
    "drawn delay zero": (
        "Projection 'input>ca3' (drawn from RandomDistribution(distribution='uniform_int', a=0, b=0)): delay = 0 ms (entry 0 of 9); expected above 0 and at most 1e+06 ms."
    ),
    "drawn delay too long": ("Projection 'input>ca3': delay = 200000 ms is 2000000 steps of 0.1 ms; expected at most 1000000 steps."),
    "drawn reset": ("Population 'ca3': a drawn v_reset is not below v_thresh; expected distributions that keep them apart."),
    "too many weights": ("Projection 'input>ca3': weight has 2 values; expected one number or 9, one for each synapse."),
    "drawn above w_max": ("Projection 'input>ca3': initial weights from 1.5 to 1.5 nA; expected between w_min = 0 and w_max = 1 nA."),
    "list above w_max": ("Projection 'input>ca3': initial weight = 1.5 nA; expected between w_min = 0 and w_max = 1 nA."),
    "list delay": ("Projection 'input>ca3': delay = 0.25 ms is not a whole number of 0.1 ms steps; nearest are 0.2 and 0.3 ms."),
    "list weight": ("Projection 'input>ca3': weight = -1.5 nA (entry 0 of 1); expected at least 0 and at most 1e+09 nA."),
    "n_steps": ("lower: n_steps = -1; expected a whole number of steps, at least 0."),
    "seed of a word": ("lower: seed = 'x'; expected a whole number, at least 0."),
    "seed of nan": ("lower: seed = nan; expected a whole number, at least 0."),
    "seed of None": ("lower: seed = None; expected a whole number, at least 0."),
    "seed negative": ("lower: seed = -1; expected a whole number, at least 0."),
    "seed fraction": ("lower: seed = 1.5; expected a whole number, at least 0."),
    "seed bool": ("lower: seed = True; expected a whole number, at least 0."),
    "input_seed": ("lower: input_seed = -1; expected a whole number, at least 0."),
    "dt of a word, lowered": ("Network: dt = 'x'; expected a number, above 0 and at most 1000 ms."),
    "phase": ("Op 'ponder': phase 'think'; expected one of stimulus, deliver, integrate, threshold, reset, learn, send, record."),
    "two writers": ("Phase 'learn': learn a and learn b both write 'w'; expected one writer in a phase."),
    "stack nothing": ("stack: no programs; expected at least one."),
    "stack n_steps": ("stack: program 1 differs from program 0 in n_steps; expected the same."),
    "stack populations": ("stack: program 1 differs from program 0 in populations; expected the same."),
    "stack projections": ("stack: program 1 differs from program 0 in projections; expected the same."),
    "stack schedule": ("stack: program 1 differs from program 0 in the steps at which weights may change; expected the same."),
    "stack integrators": ("stack: program 1 differs from program 0 in its cells' integrators; expected the same."),
    "stack synapses": (
        "stack: program 1 differs from program 0 in the synapses, the receptor or the rule of 'input>ca3'; expected the same (random connections need the same seed; give input_seed to lower for other input)."
    ),
    "ca3_cam": ("ca3_cam: n_cues = 0; expected a whole number, at least 1."),
    "ca3_cam inhibition": ("ca3_cam: self_inhibition = 5; expected True or False."),
    "ca3_cam inhibition of a word": ("ca3_cam: self_inhibition = 'no'; expected True or False."),
    "ca3_cam cues": (
        "ca3_cam: n_cues = 1000000000, n_content = 10: 2e+18 synapses, whose tables would take 5.96e+10 GiB; expected at most 16 GiB, such as 10000 cues of 10000 bits."
    ),
    "ca3_cam content": (
        "ca3_cam: n_cues = 5, n_content = 1000000000: 2.3e+10 synapses, whose tables would take 685 GiB; expected at most 16 GiB, such as 10000 cues of 10000 bits."
    ),
} | {name: text for name, (_, text) in MATRIX.items()}


def raised(case: str) -> SpecError:
    with pytest.raises(SpecError) as error:
        CASES[case]()
    return error.value


@pytest.mark.parametrize("case", CASES)
def test_text(case: str) -> None:
    assert str(raised(case)) == TEXTS[case]


def test_texts_and_cases_are_the_same_list() -> None:
    assert list(TEXTS) == list(CASES)
    assert not set(SPIKING) & set(MATRIX)


@pytest.mark.parametrize("case", CASES)
def test_is_the_built_in_that_one_would_think_of(case: str) -> None:
    assert isinstance(raised(case), ValueError)


ELSEWHERE: list[Callable[[], object]] = [  # cases whose whole texts are matched in the tests of these models
    *(build for build, _ in [*CA3_FAMILY, *CA3_RECURRENT]),
    *(make for make, kind, _ in REALISE.values() if kind is SpecError),
    lambda: neuromem.build(ca3_forgetting(5, 10), "reference").recall(cue=(1, 2)),
    lambda: neuromem.build(realise(willshaw(n=6, k=2, iterative=False), np.ones((6, 6)), levels=1).memory, "reference").recall(content=(0, 1, 2)),
]  # fmt: skip


def test_every_error_of_a_definition_has_its_case() -> None:
    """Each ``raise SpecError`` in the definitions and the intermediate form is reached by a case."""
    root, models = Path(neuromem.__file__).parent, Path(neuromem.models.__file__).parent
    alone = [root / name for name in ("patterns.py", "cues.py", "quantities.py")]
    files = [*root.glob("spec/*.py"), *root.glob("ir/*.py"), *alone, *models.glob("*.py")]
    written = {
        (file.resolve(), node.lineno, node.end_lineno) for file in files for node in ast.walk(ast.parse(file.read_text())) if _raises(node)
    }
    assert len(written) > 80
    reached = set()
    for make in [*CASES.values(), *ELSEWHERE]:
        with pytest.raises(SpecError) as error:
            make()
        last = traceback.extract_tb(error.value.__traceback__)[-1]
        reached.add((Path(last.filename).resolve(), last.lineno))
    missed = [f"{file.name}:{start}" for file, start, end in written if not any(f == file and start <= line <= end for f, line in reached)]
    assert sorted(missed) == []


def _raises(node: ast.AST) -> bool:
    if not isinstance(node, ast.Raise) or not isinstance(node.exc, ast.Call):
        return False
    return isinstance(node.exc.func, ast.Name) and node.exc.func.id == "SpecError"
