"""How annotations are checked while the tests run: as the typing rules have it, an int passes for a float."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
