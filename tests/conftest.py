"""What holds for every test: reproducible draws, and no more threads than small networks can use."""

import os

import torch
from hypothesis import HealthCheck, settings

settings.register_profile(
    "dwf",
    deadline=None,  # a store takes as long as the disk does
    derandomize=True,  # the same examples on every machine
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("dwf")
torch.set_num_threads(2)
os.fsync = lambda descriptor: None  # no test cuts the power, and every store would wait for the disk
