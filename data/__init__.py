"""The sample that travels with the package: ``sample/`` is what ``v6share sample`` makes."""
