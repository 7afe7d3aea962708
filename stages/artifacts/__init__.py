"""Artifacts of stages, read back as the things they mean: members, principal components, fitted flows, exports."""
