"""What nobody knows of a cluster without asking it, asked in a schema that is made for that and removed."""

from tams.repository.vast.probe.advice import Advice, advised
from tams.repository.vast.probe.checks import CHECKS, DECISIVE
from tams.repository.vast.probe.findings import Check, Finding
from tams.repository.vast.probe.scratch import NotRemoved, Scratch, scratch

__all__ = ["CHECKS", "DECISIVE", "Advice", "Check", "Finding", "NotRemoved", "Scratch", "advised", "scratch"]
