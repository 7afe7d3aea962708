"""Loggers: a run told to an experiment tracker, through the tracker's own library where it is installed."""
