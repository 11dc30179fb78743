"""Ready-made memories, one file each: parameters -> MemoryModel.

``MODELS`` maps the name that the command line knows to (module, function).
"""

from neuromem.models.ca3_cam import ca3_cam as ca3_cam

MODELS = {"ca3-cam": ("neuromem.models.ca3_cam", "ca3_cam")}

__all__ = ["MODELS", "ca3_cam"]
