"""Every stage's parameters, free of torch: a configuration is checked and its keys are known in a fraction of a second."""
