"""Network architectures, a module each, and what all of them share: initialisation, stacked evaluation, BatchNorm."""
