"""What a measurement ran on: processor, memory, versions and the settings that change results."""

import os
import platform
from importlib import metadata
from pathlib import Path

import softgrad as sg

LIBRARIES = ("softgrad", "numpy", "scipy", "torch", "jax", "threadpoolctl")
SETTINGS = ("OPENBLAS_CORETYPE", "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "SOFTGRAD_INSTRUCTION_SET")
HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def processor() -> str:
    """The processor's name, as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def version(library: str) -> str | None:
    """The installed version of a library, None where it is absent."""
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


def memory_gib() -> float:
    """The memory of the machine in gibibytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def describe() -> dict[str, str]:
    """Everything a reader needs to judge a figure, in printing order."""
    facts = {
        "processor": f"{processor()}, {len(os.sched_getaffinity(0))} cores usable",
        "memory": f"{memory_gib():.0f} GiB",
        "system": platform.platform(),
        "python": platform.python_version(),
    }
    if HUGE_PAGES.exists():
        choices = HUGE_PAGES.read_text()
        facts["transparent huge pages"] = choices[choices.index("[") + 1 : choices.index("]")]
    for library in LIBRARIES:
        facts[library] = version(library) or "not installed"
    facts["load before the run"] = f"{os.getloadavg()[0]:.1f} processes"
    facts["softgrad instruction set"] = str(sg.info()["instruction_set"])
    for setting in SETTINGS:
        facts[setting] = os.environ.get(setting, "unset")
    return facts
