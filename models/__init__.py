"""Ready-made memories, one file each: parameters -> MemoryModel.

``MODELS`` maps the name that the command line knows to (module, function).
"""

from neuromem.models.bcpnn import bcpnn as bcpnn
from neuromem.models.ca3 import ca3 as ca3
from neuromem.models.ca3_cam import ca3_cam as ca3_cam
from neuromem.models.ca3_oscillatory import ca3_oscillatory as ca3_oscillatory
from neuromem.models.ca3_regulated import ca3_regulated as ca3_regulated
from neuromem.models.dense import dense as dense
from neuromem.models.hetero import hetero as hetero
from neuromem.models.hippocampus import ca3_bioinspired as ca3_bioinspired
from neuromem.models.hippocampus import ca3_forgetting as ca3_forgetting
from neuromem.models.hopfield import hopfield as hopfield
from neuromem.models.sequence import sequence as sequence
from neuromem.models.spiking_hopfield import spiking_hopfield as spiking_hopfield
from neuromem.models.spiking_willshaw import spiking_willshaw as spiking_willshaw
from neuromem.models.willshaw import willshaw as willshaw

MODELS = {
    "ca3-cam": ("neuromem.models.ca3_cam", "ca3_cam"),
    "ca3": ("neuromem.models.ca3", "ca3"),
    "ca3-forgetting": ("neuromem.models.hippocampus", "ca3_forgetting"),
    "ca3-bioinspired": ("neuromem.models.hippocampus", "ca3_bioinspired"),
    "ca3-oscillatory": ("neuromem.models.ca3_oscillatory", "ca3_oscillatory"),
    "ca3-regulated": ("neuromem.models.ca3_regulated", "ca3_regulated"),
    "hopfield": ("neuromem.models.hopfield", "hopfield"),
    "willshaw": ("neuromem.models.willshaw", "willshaw"),
    "bcpnn": ("neuromem.models.bcpnn", "bcpnn"),
    "dense": ("neuromem.models.dense", "dense"),
    "hetero": ("neuromem.models.hetero", "hetero"),
    "sequence": ("neuromem.models.sequence", "sequence"),
    "willshaw-spiking": ("neuromem.models.spiking_willshaw", "spiking_willshaw"),
    "hopfield-spiking": ("neuromem.models.spiking_hopfield", "spiking_hopfield"),
}

__all__ = [
    "MODELS",
    "bcpnn",
    "ca3",
    "ca3_bioinspired",
    "ca3_cam",
    "ca3_forgetting",
    "ca3_oscillatory",
    "ca3_regulated",
    "dense",
    "hetero",
    "hopfield",
    "sequence",
    "spiking_hopfield",
    "spiking_willshaw",
    "willshaw",
]
