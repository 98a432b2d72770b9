"""The command line: `python -m grasp_theory`."""

from __future__ import annotations

from grasp_theory.command_line import add, new_app
from grasp_theory.trust.diagnose_command import diagnose_command

app = new_app(no_args_is_help=True)
add(app, diagnose_command, "nothing was written; run it again.", "diagnose")


@app.callback()
def main() -> None:
    """Planning with world models: what the theory says of yours."""


if __name__ == "__main__":
    app()
