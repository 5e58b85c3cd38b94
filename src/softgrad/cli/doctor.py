"""softgrad doctor file.py:function: find the mistake in a softmax, a loss or a gradient.

The file runs in a process of its own, which is ended when the time is over: whatever it does, the
command comes back.
"""

from __future__ import annotations

import ast
import inspect
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from softgrad.cli.console import console
from softgrad.cli.errors import BAD_INPUT
from softgrad.doctor.kinds import find_kind, kinds_of_name
from softgrad.doctor.report import Finding, Report
from softgrad.errors import OptionError

#: Where the child process finds its order, and leaves its answer.
_WORKER = "softgrad.cli.doctor"
FINDINGS = 1
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def doctor_command(
    source: str | None,
    paste: bool,
    kind: str | None,
    page: Path | None,
    time_limit: float,
    said: Mapping[str, Any],
) -> int:
    """Examine a function of a file, print the report, and return the exit code.

    ``said`` are further options of `softgrad.examine`.
    """
    if kind is not None:
        find_kind(kind)
    if not time_limit > 0:
        raise OptionError(f"--time-limit must be above 0, but is {time_limit:g}. Try 30.")
    if paste == (source is not None):
        raise OptionError("Give either FILE.py:FUNCTION or --paste.")
    if paste:
        if sys.stdin.isatty():
            end = "Ctrl+Z, Enter" if os.name == "nt" else "Ctrl+D"
            print(f"Paste the code, then press {end}.", file=sys.stderr)
        code, name, folder = sys.stdin.read(), None, Path.cwd()
        where = "the pasted code"
        wanted = None
    else:
        assert source is not None
        path, _, wanted = source.rpartition(":") if _names_function(source) else (source, "", None)
        file = Path(path)
        code, name, folder = _read(file), wanted, file.resolve().parent
        where = path
    function = _choose(code, name, where, kind)
    order = {
        "code": code,
        "function": function,
        "kind": kind,
        "said": dict(said),
        "file": where,
        "time_limit": max(0.5, time_limit / 3),
    }
    report = _in_child(order, folder, time_limit)
    if page is not None:
        page.write_text(report.to_html(), "utf-8")
    out = console()
    out.print(report)
    if page is not None:
        out.print(f"\nWritten: {page}", style="dim")
    return 0 if report.healthy else FINDINGS


def _names_function(source: str) -> bool:
    """Whether FILE:NAME was given; a Windows drive is no file of a function."""
    name = source.rpartition(":")[2]
    return name.replace(".", "").isidentifier() and not Path(source).exists()


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError:
        raise OptionError(f"{file} is no text. Give a Python file: FILE.py:FUNCTION.") from None


def _choose(code: str, name: str | None, where: str, kind: str | None) -> str:
    """The function to examine: the named one, or the only one that fits."""
    if not code.strip():
        raise OptionError(f"{where[:1].upper() + where[1:]} is empty; a function is needed.")
    try:
        tree = ast.parse(code)
    except SyntaxError as error:
        line = f"line {error.lineno}: " if error.lineno else ""
        raise OptionError(f"{where} is not valid Python, {line}{error.msg}.") from None
    defined = [
        node.name
        for node in tree.body
        if isinstance(node, _DEFINITIONS) and not node.name.startswith("_")
    ]
    defined += [
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda | ast.Attribute)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    if name is not None:
        if name.split(".")[0] not in _all_names(tree):
            there = ", ".join(defined) or "none"
            raise OptionError(f"{where} defines no {name!r}; there are: {there}.")
        return name
    if len(defined) == 1:
        return defined[0]
    if not defined:
        raise OptionError(f"{where} defines no function.")
    # Helpers come first: the last function whose name says what it is.
    fitting = [n for n in defined if kinds_of_name(n) and (kind is None or _may_be(n, kind))]
    if fitting:
        return fitting[-1]
    raise OptionError(
        f"{where} defines several functions: {', '.join(defined)}. "
        f"Name one, as in FILE.py:{defined[-1]}."
    )


def _may_be(name: str, kind: str) -> bool:
    return kind in [k.name for k in kinds_of_name(name)]


def _all_names(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, _DEFINITIONS):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    return names


def _in_child(order: dict[str, Any], folder: Path, time_limit: float) -> Report:
    """Run the examination in a process of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        task, answer = Path(scratch, "task.json"), Path(scratch, "answer")
        task.write_text(json.dumps(order), "utf-8")
        command = [sys.executable, "-m", _WORKER, str(task), str(answer)]
        environment = {**os.environ, "PYTHONPATH": _path(folder)}
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=time_limit,
                env=environment,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return _no_answer(
                order,
                "It does not return",
                f"It was ended after {time_limit:g} s: look for a loop whose condition never "
                "becomes false, or for work at the top of the file. --time-limit gives it longer.",
            )
        if not answer.exists():
            last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or [""]
            return _no_answer(
                order,
                "It ends the whole process",
                f"Python stopped with exit code {done.returncode} before the examination was over. "
                f"{last[0][:200]}",
            )
        content = json.loads(answer.read_text("utf-8"))
        if "refused" in content:
            raise OptionError(content["refused"])
        return Report.from_dict(content)


def _path(folder: Path) -> str:
    """The file's own folder comes first, as when Python runs it; then where softgrad was found."""
    own = Path(__file__).resolve().parents[2]
    return os.pathsep.join(filter(None, [str(own), str(folder), os.environ.get("PYTHONPATH", "")]))


def _no_answer(order: dict[str, Any], title: str, cause: str) -> Report:
    finding = Finding(None, title, "", "", 0.95, None, cause)
    return Report(order["function"], order["kind"] or "unknown", False, {}, [finding])


# --- In the child process -------------------------------------------------------------------------


def _work(task: Path, answer: Path) -> None:
    order = json.loads(task.read_text("utf-8"))
    result = _examined(order)
    partial = answer.with_suffix(".part")
    partial.write_text(json.dumps(result), "utf-8")
    partial.rename(answer)


def _examined(order: dict[str, Any]) -> dict[str, Any]:
    import linecache

    import softgrad as sg

    file = order["file"] if order["file"].endswith(".py") else "<pasted>"
    code = order["code"]
    linecache.cache[file] = (len(code), None, code.splitlines(keepends=True), file)
    space: dict[str, Any] = {"__name__": "examined", "__file__": file}
    sys.modules["examined"] = type(sys)("examined")
    sys.modules["examined"].__dict__.update(space)
    space = sys.modules["examined"].__dict__
    if "import" not in code:
        import numpy

        space.update(np=numpy, numpy=numpy)  # snippets are often pasted without their imports
    try:
        exec(compile(code, file, "exec"), space)
    except SystemExit as error:
        return _no_answer(order, "The file calls exit", f"exit({error.code!r}).").to_dict()
    except Exception as error:
        line = _line_of(error, file)
        cause = f"{type(error).__name__}: {error}{line}. The functions in it were not reached."
        return _no_answer(order, "The file itself raises an error", cause).to_dict()
    try:
        target = _found(space, order["function"])
    except Exception as error:
        cause = f"{type(error).__name__}: {error}. Give it defaults, or examine a function."
        return _no_answer(order, "Its class cannot be created without arguments", cause).to_dict()
    if target is None:
        return {"refused": f"{order['file']} defines no {order['function']!r}."}
    if getattr(target, "__name__", "") == "<lambda>":
        target.__name__ = order["function"]  # it is known by the name that it was given
    try:
        report = sg.examine(target, order["kind"], time_limit=order["time_limit"], **order["said"])
    except sg.errors.SoftgradError as error:
        return {"refused": str(error).replace("pass kind=", "pass --kind")}
    return report.to_dict()


def _found(space: dict[str, Any], path: str) -> Any:
    """What a dotted name stands for, or None; a method is one of an instance made for it."""
    first, *rest = path.split(".")
    target = space.get(first)
    for part in rest:
        if inspect.isclass(target) and inspect.isfunction(
            inspect.getattr_static(target, part, None)
        ):
            target = target()
        target = getattr(target, part, None)
    return target


def _line_of(error: Exception, file: str) -> str:
    trace = error.__traceback__
    line = 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" (line {line})" if line else ""


if __name__ == "__main__":
    try:
        _work(Path(sys.argv[1]), Path(sys.argv[2]))
    except KeyboardInterrupt:
        sys.exit(BAD_INPUT)
