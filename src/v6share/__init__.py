"""v6share: the IPv6 share of a network's traffic, measured from flow logs.

The rooms of the house stand at the root of the repository, and links here give them their import
names: ``v6share.schemas``, ``workspace``, ``render``, ``pipelines``, ``warehouse``, ``jobs``.
"""

__version__ = "0.1.0"
