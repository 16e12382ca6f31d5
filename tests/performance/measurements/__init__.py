"""All that is measured, in the order of the table."""

from __future__ import annotations

from tests.performance.measurements.measurement import Measurement
from tests.performance.measurements.memory import Memory
from tests.performance.measurements.notifying import Notifying
from tests.performance.measurements.presigning import Presigning
from tests.performance.measurements.reading import READINGS, Reading
from tests.performance.measurements.registering import SIZES, Registering


def all_measurements(rounds: int) -> list[Measurement]:
    """Fresh ones, for that many rounds. Memory comes last: it is looked at after the load of the others."""
    return [
        *(Reading(each) for each in READINGS),
        *(Registering(size, rounds) for size in SIZES),
        Presigning(),
        Notifying("sqlite"),
        Notifying("postgresql"),
        Memory(),
    ]
