"""The command line: parse, call, print."""

from softgrad.cli.app import main

__all__ = ["main"]
