"""The zoo's members: where they lie, how good they are, and how those of other programs are taken in."""
