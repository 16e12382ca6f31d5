"""All measurements, in the order of the table."""

from __future__ import annotations

from tools.bench.databases import Engine
from tools.bench.extent import Extent
from tools.bench.measurements.deleting import Deleting
from tools.bench.measurements.measurement import Measurement
from tools.bench.measurements.memory import Memory
from tools.bench.measurements.mixed import MixedLoad
from tools.bench.measurements.notifying import Notifying
from tools.bench.measurements.presigning import Presigning
from tools.bench.measurements.reading import READINGS, Reading
from tools.bench.measurements.registering import SIZES, Registering, Verifying
from tools.bench.measurements.sizes import ManyFlows, Sizes
from tools.bench.measurements.vast import Vast


def all_measurements(engine: Engine, extent: Extent) -> list[Measurement]:
    """Return new measurements for a store on this engine. Memory is last: it is read after the load of the others."""
    return [
        *(Reading(spec) for spec in READINGS),
        *(Registering(size, extent.rounds) for size in SIZES),
        Verifying(),
        Presigning(),
        # Independent of the engine, so it runs only once.
        *([Vast(extent.sizes)] if engine == "sqlite" else []),
        Notifying(),
        MixedLoad(),
        Sizes(extent.sizes),
        ManyFlows(extent.flows),
        Deleting(extent.deleted, extent.rounds),
        Memory(),
    ]
