"""Faults on purpose: kills, full disks, failing reads, races, flipped bits."""
