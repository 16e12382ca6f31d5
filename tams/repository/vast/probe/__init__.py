"""The probe: properties of a cluster that can only be found out by a trial.

It works in a schema that it creates for this purpose and removes at the end.
"""

from tams.repository.vast.probe.advice import Advice, advise
from tams.repository.vast.probe.checks import CHECKS, DECISIVE
from tams.repository.vast.probe.findings import Check, Finding
from tams.repository.vast.probe.scratch import NotRemoved, Scratch, scratch

__all__ = ["CHECKS", "DECISIVE", "Advice", "Check", "Finding", "NotRemoved", "Scratch", "advise", "scratch"]
