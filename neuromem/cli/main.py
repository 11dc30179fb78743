"""The command ``neuromem``. Each subcommand has a file of its own, and imports what it needs when it runs."""

from __future__ import annotations

import io
import re
import signal
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from neuromem.cli.capacity import capacity
from neuromem.cli.compare import compare
from neuromem.cli.compile import compile_model
from neuromem.cli.doctor import doctor
from neuromem.cli.export import export
from neuromem.cli.import_nir import import_nir
from neuromem.cli.import_recording import import_recording
from neuromem.cli.list import list_everything
from neuromem.cli.plan import plan
from neuromem.cli.run import run
from neuromem.cli.show import show
from neuromem.cli.update import update
from neuromem.cli.verify import verify
from neuromem.errors import NeuromemError


class Commands(TyperGroup):
    """Ends with one line ``error: ...`` and status 1 on the errors that neuromem raises on purpose."""

    def invoke(self, ctx: Any) -> Any:
        """Run the subcommand."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # who read the output has left: typer ends quietly
        except (NeuromemError, OSError, MemoryError, RecursionError, UnicodeError) as error:
            # One line, so that a script can read it; some of what libraries say has several.
            print("error: " + re.sub(r"\s*\n\s*", " ", described(error)), file=sys.stderr)
            raise typer.Exit(1) from None


def described(error: BaseException) -> str:
    """Return what an error says; one that neuromem did not raise on purpose is put into words."""
    if isinstance(error, NeuromemError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}." if error.filename else f"the system says: {error.strerror or error}."
    if isinstance(error, MemoryError):
        return f"out of memory ({str(error).rstrip('.') or 'no more is said'}); expected a smaller memory, or a shorter protocol."
    if isinstance(error, RecursionError):
        return f"something is nested too deep ({error})."
    return f"text that cannot be written or read here ({error}); a UTF-8 locale can: LC_ALL=C.UTF-8 neuromem ..."


app = typer.Typer(cls=Commands, no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
app.command("list", short_help="Models, backends, targets, experiments.")(list_everything)
app.command("show", short_help="A memory's parameters, Program and drawing.")(show)
app.command("plan", short_help="What will a memory take, and does a GPU pay?")(plan)
app.command("run", short_help="Run a protocol on a memory.")(run)
app.command("compare", short_help="Do the backends agree?")(compare)
app.command("compile", short_help="Compile a memory for a GPU, where there is none.")(compile_model)
app.command("capacity", short_help="How many patterns does a memory hold?")(capacity)
app.command("export", short_help="Write a memory as a package for a board.")(export)
app.command("verify", short_help="Run an export on the board's own binaries, emulated.")(verify)
app.command("import-nir", short_help="What network is in a NIR graph?")(import_nir)
app.command("import-recording", short_help="Bring a board's results back as a run.")(import_recording)
app.command("update", short_help="Learn pairs in a matrix on disk, of any size.")(update)
app.command("doctor", short_help="Is this machine ready?")(doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(version("neuromem"))
        raise typer.Exit


@app.callback()
def neuromem(
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")] = False,
) -> None:
    """Simulate associative memories: define once, run on engines that provably agree."""


def main() -> None:
    """Run the command line and exit: 0 if it worked, 1 after an error, 2 for wrong usage, 130 after Ctrl-C."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what is half made is put away, as after Ctrl-C
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names in any script, on a terminal of any locale
    app(prog_name="neuromem")
