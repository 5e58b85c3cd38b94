"""What a call costs when there is next to nothing to compute: ten numbers."""

import random

from .cases import Inputs, Shape
from .peers import Peer
from .timing import Contender, race

# seconds, the most that softgrad may take
TARGETS = {"softmax": 0.8e-6, "cross_entropy.value_and_grad": 2e-6}


def measure(peers: dict[str, Peer], rng: random.Random) -> dict[str, dict[str, float]]:
    """Seconds a call, by function and library, on ten float32 numbers."""
    inputs = Inputs.draw(Shape(1, 10), "float32", 1.0)
    result = {}
    for function in TARGETS:
        contenders = []
        for name, peer in peers.items():
            call = peer(function, inputs)
            if call is not None:
                contenders.append(Contender(name, call))
        result[function] = race(contenders, seconds=0.2, rounds=(30, 300), rng=rng, settle=False)
    return result
