"""The traffic simulator: a coalition and its day by seed, as data. Pure; who drives it decides how it is sent.

`make_coalition(seed)` gives six brands, two processors and 500 people; `make_day(coalition, seed)` gives the calls of
one day in phases. Both are functions of their arguments alone, byte for byte.
"""

from load_tests.simulator.coalition import make_coalition
from load_tests.simulator.day import batches, encode, lanes, make_day
from load_tests.simulator.model import Coalition, Plan, Scale

__all__ = ["Coalition", "Plan", "Scale", "batches", "encode", "lanes", "make_coalition", "make_day"]
