"""The dag on Prefect: flow, servers, records of runs, artifacts on its pages."""
