"""The command line's reference: what ``softgrad COMMAND --help`` says, as a page."""

from __future__ import annotations

from typing import Any

import typer


def page() -> str:
    """A section for every command, as Markdown."""
    from softgrad.cli.app import app

    group = typer.main.get_command(app)
    parts = ["# Command line", "What `softgrad COMMAND --help` says."]
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        parts += [f"## softgrad {name}", command.help or ""]
        arguments = [_argument(p) for p in command.params if p.param_type_name == "argument"]
        parts.append(f"```text\n{' '.join([f'softgrad {name}', '[OPTIONS]', *arguments])}\n```")
        rows = [_row(parameter) for parameter in command.params if getattr(parameter, "help", None)]
        if rows:
            parts.append("\n".join(["| option | |", "| --- | --- |", *rows]))
    return "\n\n".join(parts) + "\n"


def _argument(parameter: Any) -> str:
    name = parameter.name.upper() + ("..." if parameter.nargs == -1 else "")
    return name if parameter.required else f"[{name}]"


def _row(parameter: Any) -> str:
    names = ", ".join(f"`{name}`" for name in parameter.opts + parameter.secondary_opts)
    if parameter.param_type_name == "argument":
        names = f"`{parameter.name.upper()}`"
    text = parameter.help.replace("|", "\\|")
    default = parameter.default
    shown = default is not None and not callable(default) and not isinstance(default, (bool, list))
    return f"| {names} | {text}{f' Default: {default}.' if shown and default != '' else ''} |"
