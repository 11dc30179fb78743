"""Definitions: frozen values that say what a memory is, and nothing about how it runs."""

from neuromem.spec.cells import Cell, IFCurrExp, SpikeSourceArray, SpikeSourcePoisson
from neuromem.spec.connectors import (
    AllToAllConnector,
    ArrayConnector,
    Connector,
    FixedNumberPostConnector,
    FixedNumberPreConnector,
    FixedProbabilityConnector,
    FixedTotalNumberConnector,
    FromListConnector,
    OneToOneConnector,
)
from neuromem.spec.distributions import RandomDistribution
from neuromem.spec.ideal import AddressTable
from neuromem.spec.memory import MemoryModel, OperationForm, Role
from neuromem.spec.network import Network, Probe, Projection, Stimulus
from neuromem.spec.plasticity import (
    STDP,
    AdditiveWeightDependence,
    MultiplicativeWeightDependence,
    SpikePairRule,
)
from neuromem.spec.population import Population, View
from neuromem.spec.protocol import Operation, Protocol, ProtocolRecipe, forget, recall, store
from neuromem.spec.synapses import StaticSynapse

__all__ = [
    "STDP",
    "AdditiveWeightDependence",
    "AddressTable",
    "AllToAllConnector",
    "ArrayConnector",
    "Cell",
    "Connector",
    "FixedNumberPostConnector",
    "FixedNumberPreConnector",
    "FixedProbabilityConnector",
    "FixedTotalNumberConnector",
    "FromListConnector",
    "IFCurrExp",
    "MemoryModel",
    "MultiplicativeWeightDependence",
    "Network",
    "OneToOneConnector",
    "Operation",
    "OperationForm",
    "Population",
    "Probe",
    "Projection",
    "Protocol",
    "ProtocolRecipe",
    "RandomDistribution",
    "Role",
    "SpikePairRule",
    "SpikeSourceArray",
    "SpikeSourcePoisson",
    "StaticSynapse",
    "Stimulus",
    "View",
    "forget",
    "recall",
    "store",
]
