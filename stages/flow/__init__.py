"""Flow matching: paths, velocity networks, solvers, codes. Torch only, no files."""
