"""The library behind `import dwf`: runs, networks, their evaluation, symmetry and alignment, without Prefect."""
