"""Data larger than memory: rows that come in batches, as often as a solver wants to see them.

    source = ParquetBatches(path, "species")      or CsvBatches, npz_batches, as_batches(...)
    summary = scan(source)                        classes, moments, counts: one pass
    for block in blocks(source, summary.classes, 4096):   every further pass

Blocks have the same rows, whatever batches the source makes: no result depends on the batch size.
"""

from softgrad.data.batches.arrays import ArrayBatches, IterableBatches, as_batches, npz_batches
from softgrad.data.batches.arrow import CsvBatches, ParquetBatches
from softgrad.data.batches.blocks import Block, blocks
from softgrad.data.batches.protocol import Batch, Batches
from softgrad.data.batches.scan import Summary, scan
from softgrad.data.batches.split import split_batches

__all__ = [
    "ArrayBatches",
    "Batch",
    "Batches",
    "Block",
    "CsvBatches",
    "IterableBatches",
    "ParquetBatches",
    "Summary",
    "as_batches",
    "blocks",
    "npz_batches",
    "scan",
    "split_batches",
]
