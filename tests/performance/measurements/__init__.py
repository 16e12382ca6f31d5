"""All that is measured, in the order of the table."""

from __future__ import annotations

from tests.performance.databases import Engine
from tests.performance.extent import Extent
from tests.performance.measurements.deleting import Deleting
from tests.performance.measurements.measurement import Measurement
from tests.performance.measurements.memory import Memory
from tests.performance.measurements.mixed import MixedLoad
from tests.performance.measurements.notifying import Notifying
from tests.performance.measurements.presigning import Presigning
from tests.performance.measurements.reading import READINGS, Reading
from tests.performance.measurements.registering import SIZES, Registering
from tests.performance.measurements.sizes import ManyFlows, Sizes
from tests.performance.measurements.vast import Vast


def all_measurements(engine: Engine, extent: Extent) -> list[Measurement]:
    """Fresh ones for a store on that engine. Memory comes last: it is looked at after the load of the others."""
    return [
        *(Reading(each) for each in READINGS),
        *(Registering(size, extent.rounds) for size in SIZES),
        Presigning(),
        # An engine of its own.
        *([Vast(extent.sizes)] if engine == "sqlite" else []),
        Notifying(),
        MixedLoad(),
        Sizes(extent.sizes),
        ManyFlows(extent.flows),
        Deleting(extent.doomed, extent.rounds),
        Memory(),
    ]
