"""Synthetic images from pristine photographs: one in memory, or a whole set on disk.

synthesize       one image, the same for the same seed, file name, type and level
plan_set         which photographs, types and levels a set consists of
write_set        write it, in KADID-10k's or KADIS-700k's layout, or go on writing it
"""

from dgqa_training.synthesis._processes import workers
from dgqa_training.synthesis.image import generator_for, synthesize
from dgqa_training.synthesis.plan import Reference, Settings, SynthesisPlan, plan_set
from dgqa_training.synthesis.sets import Written, write_set, write_sheets

__all__ = [
    "Reference",
    "Settings",
    "SynthesisPlan",
    "Written",
    "generator_for",
    "plan_set",
    "synthesize",
    "workers",
    "write_set",
    "write_sheets",
]
