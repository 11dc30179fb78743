"""Ready-made memories, one file each: parameters -> MemoryModel.

``MODELS`` maps the name that the command line knows to (module, function).
"""

from neuromem.models.bcpnn import bcpnn as bcpnn
from neuromem.models.ca3_cam import ca3_cam as ca3_cam
from neuromem.models.dense import dense as dense
from neuromem.models.hetero import hetero as hetero
from neuromem.models.hopfield import hopfield as hopfield
from neuromem.models.sequence import sequence as sequence
from neuromem.models.spiking_hopfield import spiking_hopfield as spiking_hopfield
from neuromem.models.spiking_willshaw import spiking_willshaw as spiking_willshaw
from neuromem.models.willshaw import willshaw as willshaw

MODELS = {
    "ca3-cam": ("neuromem.models.ca3_cam", "ca3_cam"),
    "hopfield": ("neuromem.models.hopfield", "hopfield"),
    "willshaw": ("neuromem.models.willshaw", "willshaw"),
    "bcpnn": ("neuromem.models.bcpnn", "bcpnn"),
    "dense": ("neuromem.models.dense", "dense"),
    "hetero": ("neuromem.models.hetero", "hetero"),
    "sequence": ("neuromem.models.sequence", "sequence"),
    "willshaw-spiking": ("neuromem.models.spiking_willshaw", "spiking_willshaw"),
    "hopfield-spiking": ("neuromem.models.spiking_hopfield", "spiking_hopfield"),
}

__all__ = ["MODELS", "bcpnn", "ca3_cam", "dense", "hetero", "hopfield", "sequence", "spiking_hopfield", "spiking_willshaw", "willshaw"]
