"""Print what pyproject.toml asks for to build the project, one requirement a line."""

import tomllib
from pathlib import Path

PROJECT = Path(__file__).parent.parent / "pyproject.toml"

if __name__ == "__main__":
    print("\n".join(tomllib.loads(PROJECT.read_text())["build-system"]["requires"]))
