"""The spaces that a flow lives on, one module per kind: rows of weights, PCA codes, neuron tokens."""
