"""The intermediate form: checks, lowering passes, and the Program that every backend executes."""

from neuromem.ir.batch import stack
from neuromem.ir.checks import check
from neuromem.ir.lower import Drive, lower
from neuromem.ir.operations import lower_memory, plan
from neuromem.ir.program import Program, Schedule
from neuromem.ir.recording import Recording

__all__ = ["Drive", "Program", "Recording", "Schedule", "check", "lower", "lower_memory", "plan", "stack"]
