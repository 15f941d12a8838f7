"""v6share: the IPv6 share of a network's traffic, measured from flow logs.

The rooms of the house stand beside this folder and are installed below this name:
``v6share.schemas``, ``v6share.pipelines``, ``v6share.warehouse``, ``v6share.jobs``.
"""

__version__ = "0.1.0"
