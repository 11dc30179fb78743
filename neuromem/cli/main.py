"""The command ``neuromem``. Each subcommand has a file of its own, and imports what it needs when it runs."""

from __future__ import annotations

import re
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from neuromem.cli.compare import compare
from neuromem.cli.doctor import doctor
from neuromem.cli.list import list_everything
from neuromem.cli.run import run
from neuromem.cli.show import show
from neuromem.errors import NeuromemError


class Commands(TyperGroup):
    """Ends with one line ``error: ...`` and status 1 on the errors that neuromem raises on purpose."""

    def invoke(self, ctx: Any) -> Any:
        """Run the subcommand."""
        try:
            return super().invoke(ctx)
        except NeuromemError as error:
            # One line, so that a script can read it; some of what libraries say has several.
            print("error: " + re.sub(r"\s*\n\s*", " ", str(error)), file=sys.stderr)
            raise typer.Exit(1) from None


app = typer.Typer(cls=Commands, no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
app.command("list", short_help="Models, backends, experiments.")(list_everything)
app.command("show", short_help="A memory's parameters, Program and drawing.")(show)
app.command("run", short_help="Run a protocol on a memory.")(run)
app.command("compare", short_help="Do the backends agree?")(compare)
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
    app(prog_name="neuromem")
