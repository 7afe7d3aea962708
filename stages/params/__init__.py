"""The parameters of every stage, free of torch, so that a configuration is checked in a fraction of a second."""
