"""Flow matching: paths, couplings, solvers, velocity networks; `spaces` alone reads packed members."""
