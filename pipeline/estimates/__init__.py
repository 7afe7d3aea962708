"""Estimates of the disk, memory and time that a run will take, made before anything runs."""
